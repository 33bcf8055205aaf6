# SPDX-License-Identifier: GPL-2.0-only
"""Standard output and error that are closed, full, without a reader, or not of UTF-8.

Each in a process of its own: the standard descriptors are that process's alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HARNESS = f"{sys.executable} -m harness"
# tox sets an encoding for all that it runs.
OURS = {k: v for k, v in os.environ.items() if k != "PYTHONIOENCODING"} | {"PYTHONPATH": str(ROOT)}
PLAIN_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(command: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run *command*, in which ``harness`` is ours, and "$0" stands for it in what it runs."""
    return subprocess.run(
        ("bash", "-c", f'harness() {{ {HARNESS} "$@"; }}; {command}'),
        cwd=ROOT,
        env={**OURS, **env},
        capture_output=True,
        check=False,
    )


def python(code: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run *code* with our streams set up."""
    return subprocess.run(
        (sys.executable, "-c", f"from harness.cli import streams; streams.set_up()\n{code}"),
        cwd=ROOT,
        env={**OURS, **env},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("env", "printed"),
    [
        ({}, "é →".encode()),
        ({"PYTHONIOENCODING": "ascii"}, b"? ?"),
        ({"PYTHONIOENCODING": "ascii:strict"}, b"? ?"),
        ({"PYTHONIOENCODING": "latin-1"}, b"\xe9 ?"),
        (PLAIN_C, b"? ?"),
    ],
)
def test_character_that_the_encoding_lacks_is_replaced(env: dict[str, str], printed: bytes) -> None:
    done = python(
        r"print('\u00e9 \u2192'); import sys; print('\u00e9 \u2192', file=sys.stderr)", **env
    )
    assert done.returncode == 0
    assert done.stdout == done.stderr == printed + b"\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_byte_of_a_name_that_is_no_character_stays(encoding: str) -> None:
    done = python(r"print('a\udcff')", PYTHONIOENCODING=encoding)
    assert done.stdout == b"a\xff\n"


@pytest.mark.parametrize("env", [PLAIN_C, {"PYTHONIOENCODING": "ascii:strict"}])
@pytest.mark.parametrize("command", ["list", "--help", "run --help", "cache --help"])
def test_commands_print_in_an_encoding_of_ascii_alone(command: str, env: dict[str, str]) -> None:
    done = shell(f"harness {command}", **env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert not done.stderr


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(closing: str) -> None:
    assert shell(f"harness list archs {closing}").returncode == 0
    assert shell(f"harness list nosuch {closing}").returncode == 2


def test_closed_streams_are_not_given_to_the_next_file() -> None:
    code = "print(open('/dev/null').fileno(), file=open('/dev/stderr', 'w'))"
    done = subprocess.run(
        ("bash", "-c", f'{sys.executable} -c "$0" >&- <&-', f"from harness.cli import streams\n"
         f"streams.set_up()\n{code}"),
        cwd=ROOT, env=OURS, capture_output=True, check=False,
    )  # fmt: skip
    assert int(done.stderr) > 2


@pytest.mark.parametrize("command", ["list", "--help", "--version", "list --help"])
def test_output_that_cannot_be_written_is_one_clear_line(command: str) -> None:
    done = shell(f"harness {command} > /dev/full")
    assert done.returncode == 3
    first, second = done.stderr.decode().splitlines()
    assert first == "harness: cannot write to standard output: No space left on device"
    assert second.startswith("harness: next: ")


def test_errors_that_cannot_be_written_leave_the_exit_code() -> None:
    assert shell("harness list nosuch 2> /dev/full").returncode == 2


def test_command_whose_reader_has_gone_ends_quietly_by_sigpipe() -> None:
    done = shell("harness list | true; exit ${PIPESTATUS[0]}")
    assert done.returncode == 128 + signal.SIGPIPE
    assert not done.stderr


@pytest.mark.parametrize("env", [{}, PLAIN_C, {"LC_ALL": "C"}])
def test_names_and_files_are_utf8_in_every_locale(tmp_path: Path, env: dict[str, str]) -> None:
    done = shell(f"harness new topic mine --out {tmp_path}/é→", **env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "é→" / "kconfigs" / "mine.config").is_file()
    plan = tmp_path / "é→" / "plan.toml"
    plan.write_text('series = "é→"\n', encoding="utf-8")
    done = shell(f"harness run {plan}", **env)
    assert done.returncode == 2
    assert "unknown series" in done.stderr.decode()


def test_process_that_is_begun_anew_keeps_its_id_and_its_outputs_encoding() -> None:
    code = "import os; from harness.cli import streams; print(os.getpid(), flush=True)\n"
    code += "streams.in_utf8(); streams.set_up(); print(os.getpid(), '\\u00e9')"
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, capture_output=True, check=False,
        env={**OURS, **PLAIN_C},
    )  # fmt: skip
    first, second, third = done.stdout.splitlines()
    assert first == second
    assert third == first + b" ?"


def test_output_that_is_lost_hides_no_other_exit_code() -> None:
    code = "from harness import __main__ as entry\nfrom harness.cli import main\n"
    code += "main.main = lambda: print('x') or 1\nraise SystemExit(entry.main())"
    for redirect, expected in (("", 1), ("> /dev/full", 1)):
        done = subprocess.run(
            ("bash", "-c", f'{sys.executable} -c "$0" {redirect}', code),
            cwd=ROOT, env=OURS, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == expected, done.stderr
        assert not done.stderr
