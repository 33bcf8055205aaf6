# SPDX-License-Identifier: GPL-2.0-only
"""Sentences on what each patch changed, by :mod:`harness.verdict.changes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.model.results import KernelFault, RunRecord, Stop
from harness.model.values import Verdict
from harness.verdict.changes import Change, PatchEffect, effects

CASES_NAMED = 3


@dataclass(frozen=True)
class Sentence:
    """One thing that a patch changed."""

    text: str
    bad: bool  # something that passed before fails


@dataclass(frozen=True)
class PatchEntry:
    """A patch of the series with what it changed."""

    number: int
    title: str
    sentences: tuple[Sentence, ...]
    quiet: bool  # it changed no verdict
    tested: bool = True  # it changed something, or is all that lies between two verdicts


@dataclass(frozen=True)
class _Turn:
    """A change of verdict, without loads, RAM and architectures."""

    test: str
    before: Verdict
    after: Verdict
    since: int
    patch: int
    cases: tuple[str, ...]  # only where the test's own verdict stayed


def patch_entries(record: RunRecord) -> tuple[PatchEntry, ...]:
    """Return an entry for each patch of the series, in order."""
    return tuple(_entry(record, effect) for effect in effects(record))


def _entry(record: RunRecord, effect: PatchEffect) -> PatchEntry:
    sentences = list(_of_kernel(record, effect))
    changes = [c for c in effect.changes if not c.stopped and not c.mended]
    sentences += [
        Sentence(_sentence(turn, where), bad=turn.after is Verdict.FAIL is not turn.before)
        for turn, of_turn in _by_turn(changes).items()
        for where in _places(record, turn.test, of_turn)
    ]
    telling = bool(sentences) or _is_own(effect)
    if not sentences:
        sentences = [Sentence(_of_none(effect), bad=_is_own(effect))]
    tested = telling or (effect.stopped is None and effect.alone)
    return PatchEntry(effect.number, effect.title, tuple(sentences), not telling, tested)


def _is_own(effect: PatchEffect) -> bool:
    """Say whether no test could run at the patch's position for a line of its own."""
    fault = effect.stopped
    return fault is not None and fault.exact and fault.patch == effect.number


def _of_none(effect: PatchEffect) -> str:
    fault = effect.stopped
    if fault is not None and _is_own(effect):
        return fault.text
    if fault is not None:
        known = fault.exact and 0 < fault.patch < effect.number
        cause = f", since patch {fault.patch}" if known else ""
        return f"not tested: {_CANNOT[fault.stage]}{cause}"
    if effect.span is None:
        return "not tested: no test has verdicts before and after it"
    if effect.alone:
        return "changes no verdict"
    first, last = effect.span
    if effect.changes:
        return f"not tested alone, but from position {first} to {last}"
    return f"not tested alone: no verdict changes from position {first} to {last}"


def untested_together(entries: Sequence[PatchEntry]) -> tuple[tuple[PatchEntry, ...], ...]:
    """Return *entries* in order, each alone; those that say the same of not being tested as one."""
    groups: dict[object, list[PatchEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.number if entry.tested else entry.sentences, []).append(entry)
    return tuple(map(tuple, groups.values()))


def _of_kernel(record: RunRecord, effect: PatchEffect) -> Iterator[Sentence]:
    """Yield what a patch did to the kernel itself, once for all tests that tell of it."""
    found: dict[tuple[str, bool, str], set[str]] = {}
    for c in effect.changes:
        fault = c.stopped or c.mended
        # A line of its own convicts one patch, and clears the other suspects.
        convicted = c.stopped.patch if c.stopped and c.stopped.exact else 0
        known = c.since < convicted <= c.patch
        if fault is not None and (not known or convicted == effect.number):
            among = "" if known else _among(c.since, c.patch)
            found.setdefault((_deed(fault, c), c.stopped is not None, among), set()).update(c.archs)
    for (deed, bad, among), archs in found.items():
        order = [*record.plan.arch, *sorted(archs)]
        where = ", ".join(sorted(archs, key=order.index))
        yield Sentence(f"{deed} (on {where}){among}", bad)


_CANNOT = {
    Stop.APPLY: "a patch does not apply",
    Stop.BUILD: "the kernel does not build",
    Stop.BOOT: "the kernel does not boot",
}
_AGAIN = {Stop.APPLY: "applies", Stop.BUILD: "builds", Stop.BOOT: "boots"}


def _deed(fault: KernelFault, change: Change) -> str:
    if change.mended:
        return f"mends the kernel: it {_AGAIN[fault.stage]} again"
    at = f" ({fault.place})" if fault.place and fault.place not in fault.what else ""
    return f"{fault.what}{at}"


def _among(since: int, patch: int) -> str:
    return f" (this or another of patches {since + 1} to {patch})" if patch - since > 1 else ""


def _by_turn(changes: Iterable[Change]) -> dict[_Turn, list[Change]]:
    """Group changes that differ only in load, RAM and architecture."""
    turns: dict[_Turn, list[Change]] = {}
    for c in changes:
        cases = c.cases if c.before is c.after else ()
        turn = _Turn(c.test, c.before, c.after, c.since, c.patch, cases)
        turns.setdefault(turn, []).append(c)
    return turns


def _sentence(turn: _Turn, where: str) -> str:
    if turn.cases:
        more = len(turn.cases) - CASES_NAMED
        names = ", ".join(turn.cases[:CASES_NAMED]) + (f" and {more} more" if more > 0 else "")
        cases = "case" if len(turn.cases) == 1 else "cases"
        text = f"leaves {turn.test} at {turn.after.value} but turns its {cases} {names} {where}"
    else:
        text = f"turns {turn.test} from {turn.before.value} to {turn.after.value} {where}"
    return text + _among(turn.since, turn.patch)


def _places(record: RunRecord, test: str, changes: Sequence[Change]) -> list[str]:
    """Return where *changes*, all of one turn, happened, in as few phrases as possible."""
    places: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    on: dict[tuple[str, int], set[str]] = {}
    for change in changes:
        on.setdefault((change.load, change.ram_mib), set()).update(change.archs)
    for place, archs in on.items():
        order = [*record.plan.arch, *sorted(archs)]
        key = tuple(sorted(archs, key=order.index))
        places.setdefault(key, set()).add(place)
    phrases = []
    for archs_named, under in places.items():
        loads, rams = {load for load, _ in under}, {ram for _, ram in under}
        whole = len(under) == len(loads) * len(rams)
        groups = [(loads, rams)] if whole else [({load}, {ram}) for load, ram in sorted(under)]
        phrases += [
            f"on {', '.join(archs_named)}{_conditions(record, test, *group)}" for group in groups
        ]
    return phrases


def _conditions(record: RunRecord, test: str, loads: set[str], rams: set[int]) -> str:
    """Return loads and RAM sizes, where the run has more than one."""
    cells = [result.cell for result in record.cells if result.cell.test == test]
    text = ""
    if {cell.load for cell in cells} != {"none"}:
        named = ", ".join(sorted(loads - {"none"}))
        if loads == {"none"}:
            text = ", without load"
        elif "none" in loads:
            everything = loads == {cell.load for cell in cells}
            text = ", with and without load" if everything else f", under {named} and without load"
        else:
            text = f", under {named}"
    if len({cell.ram_mib for cell in cells}) > 1:
        text += f", with {', '.join(str(ram) for ram in sorted(rams))} MiB"
    return text
