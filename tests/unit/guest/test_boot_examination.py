# SPDX-License-Identifier: GPL-2.0-only
"""Two boots of one kernel, put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.boot_examination import CAME_UP, EVIDENCE, together, write_evidence
from harness.model.results import BootDeath, Death, Frame


def death(kind: Death, *functions: str, log: str = "") -> BootDeath:
    frames = tuple(Frame(f"{name}+0x1/0x2", "", 0, exact=False) for name in functions)
    what = f"{kind.value} {' '.join(functions)}".strip()
    return BootDeath(kind, what, frames, early_log=(log,) if log else (), registers=log)


@pytest.mark.parametrize(
    ("first", "second", "kind", "what"),
    [
        # What only the early console or the paused emulator shows.
        (death(Death.RESET), death(Death.PANIC, "sort"), Death.PANIC, "panic sort"),
        (death(Death.RESET), death(Death.TRIPLE_FAULT, "f"), Death.TRIPLE_FAULT, "triple fault f"),
        (death(Death.PANIC), death(Death.INIT), Death.PANIC, "panic"),
        (death(Death.HALTED, "f", "g"), death(Death.HALTED, "h", "f"), Death.HALTED, "halted h f"),
        (death(Death.HALTED, "f"), death(Death.HALTED), Death.HALTED, "halted f"),
        # The second was given up sooner.
        (death(Death.SPINNING, "f"), death(Death.SILENT, "x"), Death.SPINNING, "spinning f"),
        (death(Death.SILENT), death(Death.SPINNING, "f"), Death.SPINNING, "spinning f"),
    ],
)
def test_deaths_alike(first: BootDeath, second: BootDeath, kind: Death, what: str) -> None:
    both = together(replace(first, console=("a",)), replace(second, early_log=("b",)))
    assert (both.kind, both.what, both.again, both.second) == (kind, what, True, "")
    assert (both.console, both.early_log) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (death(Death.HALTED, "f", "start"), death(Death.HALTED, "g", "other")),
        (death(Death.HALTED, "f"), death(Death.SPINNING, "f")),
        (death(Death.PANIC), death(Death.IDLE)),
    ],
)
def test_deaths_of_two_kinds(first: BootDeath, second: BootDeath) -> None:
    both = together(first, second)
    assert (both.kind, both.what) == (first.kind, first.what)
    assert (both.again, both.second) == (False, second.what)


def test_second_boot_that_came_up() -> None:
    both = together(death(Death.HALTED, "f"), None)
    assert (both.kind, both.again, both.second) == (Death.HALTED, False, CAME_UP)


def test_evidence_is_written_beside_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    dead = replace(death(Death.HALTED, "f", log="early"), console=("one", "two"))
    write_evidence(dead, folder)
    assert (folder / "console.log").read_text() == "one\ntwo\n"
    assert [(folder / name).read_text() for name in EVIDENCE] == ["early\n", "halted f\n\nearly\n"]
    write_evidence(replace(dead, console=("other",)), folder)
    assert (folder / "console.log").read_text() == "one\ntwo\n"
