# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of verdicts: a row for each test and load, a block of positions for each arch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.model.results import CellResult, RunRecord
from harness.model.text import one_line
from harness.model.values import NO_SERIES, Cell, Verdict
from harness.verdict.flaky import kind_of


@dataclass(frozen=True)
class Mark:
    """Sign and colour of a verdict; the sign alone tells verdicts apart."""

    symbol: str
    ascii: str  # where the terminal knows no other characters
    colour: str  # of a terminal


MARKS: Mapping[Verdict, Mark] = {
    Verdict.PASS: Mark("✓", "P", "green"),
    Verdict.FAIL: Mark("✗", "F", "red"),
    Verdict.ERROR: Mark("E", "E", "magenta"),
    Verdict.MISS: Mark("?", "M", "yellow"),
    Verdict.DONE: Mark("•", "D", "cyan"),
    Verdict.SKIP: Mark("–", "S", "bright_black"),
}


@dataclass(frozen=True)
class Row:
    """A cell without architecture and position."""

    test: str
    load: str
    ram_mib: int
    base: str
    config: tuple[str, ...]

    @staticmethod
    def of(cell: Cell) -> Row:
        return Row(cell.test, cell.load, cell.ram_mib, cell.base, cell.config)


@dataclass(frozen=True)
class Matrix:
    """Rows × (arch × position); places without a result are empty."""

    rows: tuple[Row, ...]
    archs: tuple[str, ...]
    positions: tuple[int, ...]
    results: Mapping[tuple[Row, str, int], CellResult]

    def at(self, row: Row, arch: str, position: int) -> CellResult | None:
        return self.results.get((row, arch, position))

    def conditions(self, row: Row) -> str:
        """Return the conditions of *row*: the load, and whatever else differs between rows."""
        return ", ".join(["no load" if row.load == "none" else row.load, *self._further(row)])

    def suffix(self, row: Row) -> str:
        """Return what follows the name of the test of *row*: " + anon, 96 MiB"."""
        load = "" if row.load == "none" else f" + {row.load}"
        return load + "".join(f", {word}" for word in self._further(row))

    def _further(self, row: Row) -> list[str]:
        words = []
        if len({r.ram_mib for r in self.rows}) > 1:
            words.append(f"{row.ram_mib} MiB")
        if len({r.base for r in self.rows}) > 1:
            words.append(row.base)
        if len({r.config for r in self.rows}) > 1:
            words.append("+".join(row.config) or "plain config")
        return words

    def turned(self, row: Row, arch: str, position: int) -> bool:
        """Return whether the verdict changes at *position*, as expected."""
        index = self.positions.index(position)
        here = self.at(row, arch, position)
        before = self.at(row, arch, self.positions[index - 1]) if index else None
        if here is None or before is None or here.verdict is before.verdict:
            return False
        return here.as_expected and before.as_expected


def lay_out(
    results: Iterable[CellResult], archs: Iterable[str] = (), *, stairs: bool = True
) -> Matrix:
    """Arrange *results*; architectures in the order of *archs*, others after them.

    With ``stairs`` tests stand in the order of the position from which they must pass, so that
    a series reads as a staircase; those that must pass from the base on come last. Without, and
    among themselves, they stand by name.
    """
    found: dict[tuple[Row, str, int], CellResult] = {}
    for result in results:
        place_of = (Row.of(result.cell), result.cell.arch, result.cell.position)
        # Of several runs of a cell, one that is not as expected stands for all.
        if place_of not in found or (found[place_of].as_expected and not result.as_expected):
            found[place_of] = result
    order = list(dict.fromkeys((*archs, *sorted({arch for _, arch, _ in found}))))
    steps: dict[str, int] = {}  # last position at which a test is not meant to pass
    for (row, _, position), result in found.items():
        if stairs and result.expected is not Verdict.PASS:
            steps[row.test] = max(position, steps.get(row.test, 0))
    last = 1 + max(steps.values(), default=0)

    def place(row: Row) -> tuple[object, ...]:
        loaded = row.load != "none"
        step = steps.get(row.test, last)
        return (step, row.test, row.base, row.config, loaded, row.load, row.ram_mib)

    return Matrix(
        rows=tuple(sorted({row for row, _, _ in found}, key=place)),
        archs=tuple(a for a in order if any(arch == a for _, arch, _ in found)),
        positions=tuple(sorted({position for _, _, position in found})),
        results=found,
    )


@dataclass(frozen=True)
class Difference:
    """A cell that is not as expected; of several runs that went wrong alike, the first.

    A kernel that does not apply, build or boot is one difference, and not one of each of its tests.
    """

    result: CellResult
    count: int  # runs that went wrong like this one
    runs: int  # of the cell
    more: int = 0  # further cells of a kernel that no test could run on

    @property
    def times(self) -> str:
        """How many runs of a repeated cell: "3 of 20 runs"; "" of another one."""
        return f"{self.count} of {self.runs} runs" if self.runs > 1 and not self.more else ""

    @property
    def others(self) -> str:
        """How many further cells it stands for: " and 3 more cells of this kernel", or ""."""
        plural = "s" if self.more > 1 else ""
        return f" and {self.more} more cell{plural} of this kernel" if self.more else ""


def differences(record: RunRecord) -> tuple[Difference, ...]:
    """Return the cells that are not as expected, as the run has them in order."""
    runs = Counter(replace(r.cell, repeat=0) for r in record.cells)
    alike: dict[tuple[object, object], list[CellResult]] = {}
    for result in record.cells:
        if result.as_expected:
            continue
        cell = replace(result.cell, repeat=0)
        if result.fault is not None:
            alike.setdefault(((cell.arch, cell.position), result.fault.what), []).append(result)
        else:
            alike.setdefault((cell, kind_of(result)), []).append(result)
    return tuple(
        Difference(
            found[0],
            len(found),
            runs[replace(found[0].cell, repeat=0)],
            len(found) - 1 if found[0].fault else 0,
        )
        for found in alike.values()
    )


def headline(record: RunRecord) -> str:
    """Return the outcome of the run in a few words."""
    count = len(differences(record))
    found = f"{count} difference{'s' if count != 1 else ''}" if count else "as expected"
    if record.finished:
        return "no verdicts" if not record.cells else found
    if not record.cells:
        return "stopped before the first verdict"
    return f"stopped before the end; {found} so far"


def summary(record: RunRecord) -> str:
    """Return the outcome of the run for a list of runs: "140 as declared", "3 of 140 differ"."""
    differ = sum(not result.as_expected for result in record.cells)
    count = len(record.cells)
    words = f"{differ} of {count} differ" if differ else f"{count} as declared"
    if not record.finished:
        why = record.error or "stopped before its end"
        words = f"{why}: {words} so far" if count else why
    return one_line("; ".join(filter(None, (words, record.about))))


def must_pass(record: RunRecord) -> str:
    """Return that no test may fail, to follow the kernel's name; "" with a series."""
    return ": every case must pass" if record.plan.series == NO_SERIES else ""


def difference(result: CellResult) -> str:
    """Return what is not as expected in *result*, to follow its verdict."""
    if result.verdict is not result.expected:
        return f"expected {result.expected.value}"
    cases = [c for c in result.cases if not c.as_expected]
    if not cases:
        return "as expected, but more went wrong"
    more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
    one = f"{cases[0].name} was {cases[0].verdict.value}, expected {cases[0].expected.value}"
    return f"as expected, but case {one}{more}"


def verdict_text(result: CellResult) -> str:
    """Return the verdict of a cell, and whether it is as expected, on one line."""
    outcome = "as expected" if result.as_expected else difference(result)
    return f"{result.verdict.value}, {outcome}"


def duration(seconds: float) -> str:
    """Return *seconds* as "8.2 s", "3 min 20 s", "1 h 02 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
