# SPDX-License-Identifier: GPL-2.0-only
"""The measurements, row by row, with raw numbers: ``bench/results.json``.

A row that is measured again replaces its old numbers; the other rows stay, each with its own
date, versions and machine.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import kunit, vng
from bench.measure import Group
from bench.model import Measured, Row, Unit
from bench.stats import Estimate, estimate
from harness import __version__
from harness.arch import all_archs
from harness.guest.qemu.process import qemu_version
from harness.host import process, resources
from harness.host.files import write_whole
from harness.host.paths import Checkout
from harness.model.jsonio import from_json, to_json

FILE = "results.json"


@dataclass(frozen=True)
class Conditions:
    """When, where and with what a row was measured."""

    date: str  # ISO 8601, UTC
    machine: str
    others: float  # cores that were busy with something else meanwhile; 0 on an idle machine
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """One row as it was measured; the texts are kept because rows change."""

    name: str
    title: str
    ours: str
    theirs: str  # "" where nothing is compared
    unit: Unit
    bar: float | None
    reading: str
    measured: Measured
    conditions: Conditions

    @property
    def estimate(self) -> Estimate | None:
        """The figure that is held against the bar; None where the row could not be measured."""
        if self.measured.failure or not self.measured.ours:
            return None
        return estimate(self.measured.ours, self.measured.theirs)

    @property
    def verdict(self) -> str:
        """Return "pass", "miss", "told" (without a bar) or "not measured"."""
        figure = self.estimate
        if figure is None:
            return "not measured"
        if self.bar is None:
            return "told"
        return "pass" if figure.value <= self.bar else "miss"


@dataclass(frozen=True)
class Results:
    """All rows, in the table's order."""

    rows: tuple[Result, ...] = ()


def conditions(checkout: Checkout) -> Conditions:
    """Describe machine and versions as they are now, before anything is measured."""
    head = process.run(("git", "describe", "--always", "--dirty"), cwd=checkout.root)
    versions = (
        f"harness {__version__} ({head.stdout.strip() or 'no git'})",
        f"Python {platform.python_version()}",
        *(qemu_version(arch).partition("\n")[0] for arch in all_archs()),
        f"virtme-ng {vng.VERSION}",
        f"kunit.py of {kunit.BASE}",
        process.run(("gcc", "--version")).stdout.partition("\n")[0],
    )
    return Conditions(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{_cpu()}, {resources.describe()}",
        others=0.0,
        versions=tuple(dict.fromkeys(versions)),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def result_of(row: Row, measured: Measured, under: Conditions) -> Result:
    """Join a row with what was measured for it."""
    return Result(
        name=row.name,
        title=row.title,
        ours=row.ours.contender.what,
        theirs=row.theirs.contender.what if row.theirs else "",
        unit=row.unit,
        bar=row.bar,
        reading=row.reading,
        measured=measured,
        conditions=under,
    )


def results_of(group: Group, measured: Mapping[str, Measured], under: Conditions) -> Results:
    """Return the results of one group."""
    return Results(tuple(result_of(row, measured[row.name], under) for row in group.rows))


def merged(old: Results, new: Results, order: tuple[str, ...]) -> Results:
    """Return *old* with *new* in place of its rows, in *order*; rows that are no more are left out.

    A row that could not be measured this time keeps the numbers it had.
    """
    rows = {row.name: row for row in old.rows}
    for row in new.rows:
        if row.estimate is not None or row.name not in rows:
            rows[row.name] = row
    return Results(tuple(rows[name] for name in order if name in rows))


def load(folder: Path) -> Results:
    """Return the results kept in *folder*, none where there are none yet."""
    file = folder / FILE
    return from_json(Results, file.read_text(), where=str(file)) if file.is_file() else Results()


def save(results: Results, folder: Path) -> None:
    """Keep *results* in *folder*."""
    write_whole(folder / FILE, to_json(results) + "\n")
