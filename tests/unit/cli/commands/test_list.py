# SPDX-License-Identifier: GPL-2.0-only
"""The lists of the command line: nothing is cut off at any width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.commands.list import KINDS, lay_out
from harness.host.paths import Cache, Checkout
from harness.report import write_json
from harness.run.workspace import Workspace
from tests.unit.sample_run import make_run

ROWS = [
    ("20261123-112355-vmalloc-nofail", "2026-11-23 11:23", "vmalloc-nofail", "140 as declared"),
    ("short", "", "", "interrupted, or still running"),
]


@pytest.mark.parametrize("width", [0, 30, 40, 60, 80, 100, 200])
def test_lay_out_has_every_word_and_whole_names(width: int) -> None:
    lines = list(lay_out(ROWS, width))
    words = " ".join(lines).split()
    assert words == [word for row in ROWS for text in row for word in text.split()]
    for name, *_ in ROWS:
        assert any(line.startswith(f" {name}") for line in lines)
    assert all(len(line) <= max(width, 31) or not width for line in lines)


def test_lay_out_where_there_is_no_terminal_is_a_line_each() -> None:
    assert len(list(lay_out(ROWS, 0))) == 2
    assert list(lay_out([], 80)) == []


def test_lay_out_wraps_a_text_below_itself() -> None:
    lines = list(lay_out([("anon", "more anonymous memory than there is RAM")], 30))
    assert lines == [" anon  more anonymous memory", "       than there is RAM"]


def test_runs_have_date_series_and_outcome(tmp_path: Path) -> None:
    workspace = Workspace(Checkout(tmp_path), Cache(tmp_path / "cache"), report=print)
    runs = tmp_path / "runs"
    record = make_run(runs / "a")
    for name, one in (
        ("a", record),
        ("b", replace(record, cells=record.cells[:4], series_name="git-linux", about="bisect: x")),
        ("c", replace(record, cells=record.cells[:1], finished=False, error="interrupted")),
        ("d", replace(record, cells=(), finished=False, error="interrupted")),
    ):
        (runs / name).mkdir(exist_ok=True)
        write_json(one, runs / name)
    for name in ("e", "f", "g"):
        (runs / name).mkdir()
    (runs / "f" / "mutants-arm64.md").touch()
    (runs / "g" / "run.json").write_text("{")
    (runs / "latest").symlink_to("a")

    found = {name: tuple(rest) for name, *rest in KINDS["runs"](workspace)}

    when = "2026-11-23 11:23"
    assert found == {
        "a": (when, "vmalloc-nofail", "2 of 80 differ"),
        "b": (when, "git-linux", "4 as declared; bisect: x"),
        "c": (when, "vmalloc-nofail", "interrupted: 1 as declared so far"),
        "d": (when, "vmalloc-nofail", "interrupted"),
        "e": ("", "", "interrupted, or still running"),
        "f": ("", "", "no verdicts; see mutants-arm64.md"),
        "g": ("", "", "its run.json is damaged, or of another version of the harness"),
    }
