# SPDX-License-Identifier: GPL-2.0-only
"""Changes of verdicts from position to position: what each patch of a series changed.

Only PASS and FAIL tell of the kernel. A position with another verdict, or none, is skipped, and a
change across it has more than one suspect.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.model.results import CellResult, KernelFault, RunRecord, Stop
from harness.model.values import Cell, Verdict

_CONCLUSIVE = (Verdict.PASS, Verdict.FAIL)


@dataclass(frozen=True)
class Change:
    """A test, or cases of it, whose verdict changed along the series."""

    patch: int  # its position is the first with the new verdict
    since: int  # last position with the old one: patches since+1 to `patch` are suspects
    test: str
    load: str  # "none" without one
    ram_mib: int
    archs: tuple[str, ...]  # on which the very same happened, sorted
    before: Verdict  # of the test as a whole
    after: Verdict
    cases: tuple[str, ...]  # that changed; only these, where before is after
    stopped: KernelFault | None = None  # what keeps the kernel from being tested, from `patch` on
    mended: KernelFault | None = None  # what kept it from that up to `since`


@dataclass(frozen=True)
class PatchEffect:
    """The changes that one patch may have caused."""

    number: int
    title: str
    changes: tuple[Change, ...]  # that it caused, or is a suspect of
    # The nearest positions before and after it at which a test has verdicts.
    span: tuple[int, int] | None
    stopped: KernelFault | None = None  # why no test could run at its position

    @property
    def judged(self) -> bool:
        """Whether some test has verdicts before and after it."""
        return self.span is not None

    @property
    def alone(self) -> bool:
        """Whether no other patch lies between these verdicts."""
        return self.span == (self.number - 1, self.number)


def what_changed(record: RunRecord) -> tuple[Change, ...]:
    """Return every change of a verdict from position to position, in the order of positions.

    The same change on several architectures is one.
    """
    found: dict[Change, list[str]] = {}
    for track in _tracks(record):
        for before, after in itertools.pairwise(track):
            change = _change(before, after)
            if change:
                found.setdefault(replace(change, archs=()), []).extend(change.archs)
    changes = [replace(change, archs=tuple(sorted(set(on)))) for change, on in found.items()]
    return tuple(sorted(changes, key=lambda c: (c.patch, c.test, c.load, c.ram_mib, c.archs)))


def turned_since(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    """Return a line for each cell, or case, of *after* that had another verdict in *before*."""
    known = {result.cell: result for result in before.cells}
    lines = []
    for result in after.cells:
        old = known.get(result.cell)
        if old is None:
            continue
        turned = [] if old.verdict is result.verdict else [(result.cell.column, old.verdict)]
        cases = {case.name: case.verdict for case in old.cases}
        new = {case.name: case.verdict for case in result.cases}
        where = f"{result.cell.arch}, position {result.cell.position}"
        lines += [f"{what} ({where}): {was.value} → {result.verdict.value}" for what, was in turned]
        lines += [
            f"{result.cell.column}: {name} ({where}): {cases[name].value} → {verdict.value}"
            for name, verdict in new.items()
            if name in cases and cases[name] is not verdict
        ]
    return tuple(lines)


def effects(record: RunRecord) -> tuple[PatchEffect, ...]:
    """Return the effect of each patch of the run's series, in order."""
    changes = what_changed(record)
    spans = [
        (before.cell.position, after.cell.position)
        for track in _tracks(record)
        for before, after in itertools.pairwise(track)
    ]
    return tuple(
        PatchEffect(
            number=number,
            title=title,
            changes=tuple(c for c in changes if c.since < number <= c.patch),
            span=min(
                (span for span in spans if span[0] < number <= span[1]),
                key=lambda span: (span[1] - span[0], span),
                default=None,
            ),
            stopped=_stopped(record, number),
        )
        for number, title in enumerate(record.patch_titles, start=1)
    )


def _stopped(record: RunRecord, position: int) -> KernelFault | None:
    """Return the fault of all kernels at *position*; None where a test could run on one."""
    faults = [result.fault for result in record.cells if result.cell.position == position]
    return faults[0] if faults and None not in faults else None


def _tracks(record: RunRecord) -> Iterator[Sequence[CellResult]]:
    """Yield results that differ in position alone, in its order."""
    tracks: dict[Cell, list[CellResult]] = {}
    for result in record.cells:
        if result.verdict in _CONCLUSIVE:
            tracks.setdefault(replace(result.cell, position=0), []).append(result)
    for track in tracks.values():
        yield sorted(track, key=lambda result: result.cell.position)


def _change(before: CellResult, after: CellResult) -> Change | None:
    old, new = _verdicts(before), _verdicts(after)
    cases = tuple(name for name, verdict in new.items() if name in old and old[name] is not verdict)
    same_fault = _kind(before.fault) == _kind(after.fault)
    if before.verdict is after.verdict and not cases and same_fault:
        return None
    cell = after.cell
    return Change(
        patch=cell.position,
        since=before.cell.position,
        test=cell.test,
        load=cell.load,
        ram_mib=cell.ram_mib,
        archs=(cell.arch,),
        before=before.verdict,
        after=after.verdict,
        cases=cases,
        stopped=None if same_fault else after.fault,
        mended=None if same_fault or after.fault else before.fault,
    )


def _kind(fault: KernelFault | None) -> tuple[Stop, str] | None:
    return fault.kind if fault else None


def _verdicts(result: CellResult) -> Mapping[str, Verdict]:
    return {case.name: case.verdict for case in result.cases if case.verdict in _CONCLUSIVE}
