# SPDX-License-Identifier: GPL-2.0-only
"""What a wrong command line is told: one line, and the next step."""

from __future__ import annotations

import pytest

from harness.cli.main import build_parser


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("run --tests x", "harness run has no option --tests", "harness run --test GLOBS"),
        ("run --loads=x", "harness run has no option --loads", "harness run --load LIST"),
        ("run --positions 3-4", "has no option --positions", "harness run --position LIST"),
        ("bisect --frsh", "harness bisect has no option --frsh", "harness bisect --"),
        ("run --frsh", "harness run has no option --frsh", "harness run --fresh"),
        ("run --load", "--load needs a value: loads to run under", "harness run --load LIST"),
        ("run --load --ram 96M", "--load needs a value", "harness run --load LIST"),
        ("cache prune --sise 1", "harness cache prune has no option --sise", "--size SIZE"),
        ("run --root x", "has no option --root", "harness --root FOLDER run: it stands before"),
        ("run a.toml b", "'b' is more than harness run takes", "harness run --help"),
        ("runn", "COMMAND 'runn': did you mean 'run'?", "harness --help"),
        ("run --wholly-else", "has no option --wholly-else", "harness run --help"),
        ("mutants --minutes x", "invalid float value: 'x'", "harness mutants --help"),
        ("run --\x1b[2J", r"has no option --\x1b[2J", "harness run --help"),
    ],
)
def test_wrong_command_line_is_told_in_two_lines(
    capsys: pytest.CaptureFixture[str], line: str, what: str, hint: str
) -> None:
    words = line.split(" ")
    with pytest.raises(SystemExit) as caught:
        build_parser(words).parse_args(words)
    assert caught.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("harness: ")
    assert what in first
    assert second.startswith("harness: next: ")
    assert hint in second


def test_right_command_line_is_parsed() -> None:
    words = ["run", "plan.toml", "--load", "none", "--ram", "96M", "--ram", "128M"]
    args = build_parser(words).parse_args(words)
    assert (str(args.plan), args.load, args.ram) == ("plan.toml", ["none"], ["96M", "128M"])
