# SPDX-License-Identifier: GPL-2.0-only
"""Repeated runs of cells: how often they were as expected, and which cells are flaky.

Each run has a guest of its own, so runs are independent and their rate has an interval. A cell
whose runs differ is flaky; no run is left out or retried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from harness.model.results import CellResult, RunRecord
from harness.model.values import Cell, Verdict

Z95 = 1.959964  # of the normal distribution, for an interval that holds 95 times of 100


@dataclass(frozen=True)
class Tally:
    """All runs of one cell."""

    cell: Cell  # of the first run
    runs: int
    as_expected: int
    verdicts: tuple[tuple[Verdict, int], ...]  # how often each, in KCIDB's order
    flaky: bool  # two runs differ, in the verdict or in that of a case
    telling: tuple[CellResult, ...]  # one run of each kind, and each that is not as expected

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate of runs as expected (Wilson's), from 0 to 1."""
        return wilson(self.as_expected, self.runs)

    @property
    def verdicts_text(self) -> str:
        """Which verdicts there were, and how often: "1 FAIL, 19 PASS"."""
        return ", ".join(f"{count} {verdict.value}" for verdict, count in self.verdicts)

    @property
    def text(self) -> str:
        """One line: rate, interval, and whether the cell agrees with itself."""
        low, high = self.interval
        rate = f"{self.as_expected} of {self.runs} as expected, 95 %: {low:.1%} to {high:.1%}"
        verdicts = self.verdicts_text
        return rate + (f"; FLAKY: {verdicts}" if self.flaky else f" ({verdicts})")


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for *hits* of *runs*; (0.0, 1.0) where there is no run."""
    if not runs:
        return 0.0, 1.0
    rate, square = hits / runs, Z95 * Z95
    middle = (rate + square / (2 * runs)) / (1 + square / runs)
    spread = Z95 / (1 + square / runs)
    spread *= math.sqrt(rate * (1 - rate) / runs + square / (4 * runs * runs))
    # At the ends the formula gives the ends themselves, but for the last digit of a float.
    low = 0.0 if hits == 0 else max(0.0, middle - spread)
    return low, 1.0 if hits == runs else min(1.0, middle + spread)


def kind_of(result: CellResult) -> tuple[object, ...]:
    """Return what two runs of a cell that agree have in common: the verdicts."""
    return (result.verdict, tuple((case.name, case.verdict) for case in result.cases))


def tallies(record: RunRecord) -> tuple[Tally, ...]:
    """Return a tally for each cell with repeated runs, in the order of the run."""
    found: dict[Cell, list[CellResult]] = {}
    for result in record.cells:
        found.setdefault(replace(result.cell, repeat=0), []).append(result)
    return tuple(_tally(cell, results) for cell, results in found.items() if len(results) > 1)


def _tally(cell: Cell, results: list[CellResult]) -> Tally:
    verdicts = [result.verdict for result in results]
    kinds: dict[object, CellResult] = {}
    for result in results:
        kinds.setdefault(kind_of(result), result)
    first_of_kind = {id(result) for result in kinds.values()}
    return Tally(
        cell=cell,
        runs=len(results),
        as_expected=sum(result.as_expected for result in results),
        verdicts=tuple((v, verdicts.count(v)) for v in Verdict if v in verdicts),
        flaky=len(kinds) > 1,
        telling=tuple(r for r in results if id(r) in first_of_kind or not r.as_expected),
    )
