# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts of cells and cases, by what was seen in the guest.

A case that a test's ``proves`` names must fail at every position before its patch and pass from
it on; every other case passes everywhere. FAIL blames the kernel under test and nothing else: a
broken test is ERROR, a guest that the harness could not observe is MISS.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain

from harness.model.results import (
    CaseResult,
    CellResult,
    Ended,
    KernelFault,
    Splat,
    TestOutcome,
)
from harness.model.values import Cell, GuestTest, SplatKind, Verdict
from harness.verdict.klog import LogLine, log_lines
from harness.verdict.ktap import KtapResult
from harness.verdict.log_facts import LogFacts, read_log
from harness.verdict.oom import Victim, kills_in, victim_of_splat
from harness.verdict.phases import death, ends_of, read_phases, verdict_of_end
from harness.verdict.splat import find_splats, is_death

_REFUSALS = re.compile(r"Unknown symbol|disagrees about version|version magic|no symbol version")
# Verdict of an OOM kill that is not tolerated. Without a task of the harness in the guest, nobody
# has seen all that the kernel did.
_KILL_VERDICTS = {
    Victim.GUEST: Verdict.MISS,
    Victim.LOADER: Verdict.FAIL,
    Victim.TEST: Verdict.FAIL,
}
_NO_JUDGMENT = (Verdict.SKIP, Verdict.DONE)
_NAMED = 3  # how many names or titles a reason spells out


@dataclass(frozen=True)
class _Anomaly:
    """Something wrong beside the verdicts of the cases."""

    verdict: Verdict
    text: str
    yields: bool = False  # a MISS that a FAIL or ERROR outweighs


# ---------------------------------------------------------------- what is expected


def expected_case(test: GuestTest, series: str, position: int, case: str) -> Verdict:
    """Return FAIL where *case* proves a patch that is not applied at *position*, else PASS."""
    return Verdict.FAIL if position < test.fails_before(series, case) else Verdict.PASS


def expected_test(
    test: GuestTest, series: str, position: int, cases: Collection[str] = ()
) -> Verdict:
    """Return FAIL if any case is expected to fail at *position*, else PASS.

    ``cases`` are the names that are known. A claim that matches none of them counts as well, so
    that a ``proves`` which names no real case is noticed.
    """
    if any(expected_case(test, series, position, case) is Verdict.FAIL for case in cases):
        return Verdict.FAIL
    for claim in test.proves:
        unmatched = not any(fnmatchcase(case, p) for case in cases for p in claim.cases)
        if claim.series == series and position < claim.patch and unmatched:
            return Verdict.FAIL
    return Verdict.PASS


# ---------------------------------------------------------------- judging


def judge(
    cell: Cell,
    test: GuestTest,
    series: str,
    outcome: TestOutcome,
    tolerated_splats: frozenset[SplatKind],
) -> CellResult:
    """Return the verdict of *cell* by what *test* did in the guest.

    ``tolerated_splats`` are those of the loads, beside those of the test. The result has neither
    argv nor evidence.
    """
    facts = read_log(outcome.log)
    phases = read_phases(outcome.phases)
    own_tolerated = test.tolerated_at(series, cell.position)
    tolerated = tolerated_splats | own_tolerated
    cases = tuple(
        _with_expected(case, test, series, cell.position)
        for case in facts.ktap.cases(unfinished=verdict_of_end(outcome.ended, facts.splats))
    )
    loads = cell.load_names
    kill_verdicts = _kill_verdicts(own_tolerated)
    # Kills with a verdict of their own are no splats as well.
    splats = [s for s in facts.splats if victim_of_splat(s, loads) not in kill_verdicts]
    around = tuple(chain.from_iterable(phase.splats for phase in phases))
    titled = [_with_time(s) for s in around if victim_of_splat(s, loads) not in kill_verdicts]
    died = any(phase.ended is Ended.DIED for phase in outcome.phases)
    kills = kills_in(chain(*(log.oom_reports for log in (facts, *phases))), loads)
    anomalies = (
        *(_Anomaly(*end) for end in ends_of(outcome.phases, phases)),
        *_of_kills(kills.texts, kill_verdicts),
        *_of_end(test, outcome, facts),
        *_of_splats(splats, tolerated, outcome.ended),
        *_of_results(test, outcome, facts.ktap),
        *_of_claims(test, series, outcome, facts.ktap),
        *_of_splats(titled, tolerated, Ended.DIED if died else Ended.DONE),
        *_of_loads(outcome, kills.of_loads if SplatKind.OOM_KILL in tolerated else ()),
        *_of_lost(outcome),
    )
    verdict = _verdict_of(cases, anomalies)
    expected = expected_test(test, series, cell.position, [case.name for case in cases])
    if verdict in _NO_JUDGMENT and all(case.as_expected for case in cases):
        expected = verdict
    return CellResult(
        cell=cell,
        verdict=verdict,
        expected=expected,
        reason="; ".join([a.text for a in anomalies] or [_summary(cases)])
        + _unmet(cases, test, series)
        + _note(outcome),
        cases=cases,
        splats=facts.splats + around,
        seconds=outcome.seconds,
        found_records=outcome.all_found,
        anomalies=tuple(a.text for a in anomalies),
    )


def judge_fault(cell: Cell, test: GuestTest, series: str, fault: KernelFault) -> CellResult:
    """Return the FAIL of a cell on whose kernel no test could run, by the kernel's own *fault*."""
    missed = missed_result(cell, test, series, fault.text)
    return replace(missed, verdict=Verdict.FAIL, fault=fault)


def splats_of(console: Iterable[str]) -> tuple[Splat, ...]:
    """Return what the kernel complained of on its *console*."""
    return find_splats(tuple(log_lines(console)))


def missed_result(cell: Cell, test: GuestTest, series: str, reason: str) -> CellResult:
    """Return the MISS of a cell that could not be run, for *reason* (one line)."""
    return CellResult(
        cell=cell,
        verdict=Verdict.MISS,
        expected=expected_test(test, series, cell.position),
        reason=reason,
        anomalies=(reason,),
    )


def skipped_result(cell: Cell, reason: str) -> CellResult:
    """Return the SKIP of a cell that its kernel has no means for, for *reason* (one line)."""
    return CellResult(cell=cell, verdict=Verdict.SKIP, expected=Verdict.SKIP, reason=reason)


def _with_time(splat: Splat) -> Splat:
    return replace(splat, title=f"{splat.title}, {splat.when}")


def _verdict_of(cases: Iterable[CaseResult], anomalies: Collection[_Anomaly]) -> Verdict:
    if any(a.verdict is Verdict.MISS and not a.yields for a in anomalies):
        return Verdict.MISS  # not all that the kernel did was seen
    return Verdict.worst((*(c.verdict for c in cases), *(a.verdict for a in anomalies)))


def _with_expected(case: CaseResult, test: GuestTest, series: str, position: int) -> CaseResult:
    expected = expected_case(test, series, position, case.name)
    # A case may skip itself where it does not apply, but not one that is to prove a patch.
    if case.verdict in _NO_JUDGMENT and not test.fails_before(series, case.name):
        expected = case.verdict
    return replace(case, expected=expected)


# ---------------------------------------------------------------- anomalies


def _of_end(test: GuestTest, outcome: TestOutcome, facts: LogFacts) -> Iterator[_Anomaly]:
    ktap = facts.ktap
    if ktap.running:
        # KUnit of 5.10 names a case only when it ends: "case 2" is all that is known.
        where = f"in case {ktap.running.removeprefix('case ')}"
    elif ktap.tests:
        where = "after the last case" if not ktap.missing else "between cases"
    else:
        where = "before the first case"
    match outcome.ended:
        case Ended.DIED:
            text = death(where, facts.splats, outcome.reason)
            yield _Anomaly(verdict_of_end(outcome.ended, facts.splats), text)
        case Ended.STUCK:
            kind = outcome.stuck.value.upper() if outcome.stuck else "STUCK"
            place = f" in {outcome.where}" if outcome.where else ""
            yield _Anomaly(Verdict.FAIL, f"{kind}{place}, {where}: {outcome.reason}")
        case Ended.SILENT:
            sign = f" ({outcome.reason})" if outcome.reason else ""
            yield _Anomaly(Verdict.FAIL, f"no answer for {outcome.seconds:.0f} s {where}{sign}")
        case Ended.REFUSED:
            yield _Anomaly(Verdict.ERROR, _refusal(test, outcome, facts.lines))
        case Ended.LOST:
            yield _Anomaly(Verdict.MISS, outcome.reason or f"the link to the guest broke {where}")
        case Ended.UNTRIED:
            reason = outcome.reason or "the test was not run"
            yield _Anomaly(Verdict.MISS, reason, yields=True)


def _refusal(test: GuestTest, outcome: TestOutcome, lines: Iterable[LogLine]) -> str:
    """Return why the module could not be loaded, as the kernel's log has it, or by its errno."""
    if not outcome.errno:
        return outcome.reason or f"module {test.module} could not be loaded"
    name = errno.errorcode.get(outcome.errno, f"errno {outcome.errno}")
    why = next((line.text for line in lines if _REFUSALS.search(line.text)), "").strip()
    why = why or os.strerror(outcome.errno)
    return f"the kernel refused module {test.module}: {name}: {why}"


def _of_splats(
    splats: Sequence[Splat], tolerated: frozenset[SplatKind], ended: Ended
) -> Iterator[_Anomaly]:
    unexpected = [s for s in splats if s.kind not in tolerated or is_death(s)]
    if ended is Ended.DIED:
        deaths = [splat for splat in unexpected if is_death(splat)]
        unexpected = [splat for splat in unexpected if splat not in deaths[:1]]  # named already
    titles = list(dict.fromkeys(splat.title for splat in unexpected))
    for title in titles[:_NAMED]:
        yield _Anomaly(Verdict.FAIL, title)
    if len(titles) > _NAMED:
        yield _Anomaly(Verdict.FAIL, f"{len(titles) - _NAMED} more kinds of splats")


def _kill_verdicts(tolerated: Collection[SplatKind]) -> dict[Victim, Verdict]:
    """Return the verdict of an OOM kill by its victim, for a test with these *tolerated* splats.

    A test may tolerate kills of its own programs, but not of the task that loads it, which is
    the last to be taken.
    """
    spared = {Victim.TEST} if SplatKind.OOM_KILL in tolerated else set()
    return {victim: v for victim, v in _KILL_VERDICTS.items() if victim not in spared}


def _of_kills(
    kills: Mapping[Victim, Sequence[str]], verdicts: Mapping[Victim, Verdict]
) -> Iterator[_Anomaly]:
    for victim, verdict in verdicts.items():
        texts = kills.get(victim, ())
        yield from (_Anomaly(verdict, text) for text in texts[:_NAMED])
        if len(texts) > _NAMED:
            text = f"{len(texts) - _NAMED} more kinds of OOM kills of {victim.value}"
            yield _Anomaly(verdict, text)


def _of_results(test: GuestTest, outcome: TestOutcome, ktap: KtapResult) -> Iterator[_Anomaly]:
    """Yield what is wrong with the KTAP of a module that was loaded and unloaded."""
    if outcome.ended is not Ended.DONE:
        return
    if not ktap.tests:
        yield _Anomaly(Verdict.ERROR, f"module {test.module} loaded but printed no KTAP")
        return
    suites = [suite.name for suite in ktap.tests]
    if test.suite not in suites and not ktap.skipped:
        found = ", ".join(suites[:_NAMED])
        yield _Anomaly(Verdict.ERROR, f"no results of suite {test.suite}, but of {found}")
    elif ktap.missing:
        noun = "case has" if ktap.missing == 1 else "cases have"
        yield _Anomaly(Verdict.ERROR, f"{ktap.missing} planned {noun} no result")
    elif not ktap.complete:
        yield _Anomaly(Verdict.ERROR, f"the results of suite {test.suite} have no end")
    if outcome.reason:
        yield _Anomaly(Verdict.ERROR, outcome.reason)
    for problem in ktap.problems[:_NAMED]:
        yield _Anomaly(Verdict.ERROR, f"unsound KTAP: {problem}")


def _of_claims(
    test: GuestTest, series: str, outcome: TestOutcome, ktap: KtapResult
) -> Iterator[_Anomaly]:
    """Yield what the test claims of cases that it does not have, once all are known."""
    if outcome.ended is not Ended.DONE or not ktap.complete or ktap.skipped:
        return
    cases = [case.name for case in ktap.cases()]
    for number, claim in enumerate(test.proves):
        for pattern in claim.cases if claim.series == series else ():
            if not any(fnmatchcase(case, pattern) for case in cases):
                text = f'{_claim(test, number)}: no case of the module matches "{pattern}"'
                yield _Anomaly(Verdict.ERROR, text)


def _of_loads(outcome: TestOutcome, killed: Collection[str]) -> Iterator[_Anomaly]:
    """Yield what is wrong with the loads; a test must run under those that its cell names.

    A load that the OOM killer took (one of *killed*) may end so; one that exits found something
    wrong. A file system that broke is the kernel's fault.
    """
    yield from (_Anomaly(Verdict.FAIL, text) for text in outcome.unsound)
    yield from (_Anomaly(Verdict.ERROR, text) for text in outcome.load_broke)
    tolerated = {f"{name}: signal 9" for name in killed}
    ends = [end for end in outcome.load_ended.split("; ") if end and end not in tolerated]
    if ends:
        yield _Anomaly(Verdict.ERROR, f"the load ended by itself: {'; '.join(ends)}")


def _of_lost(outcome: TestOutcome) -> Iterator[_Anomaly]:
    """A splat may be among records that were lost, so no cell without them is a PASS."""
    if outcome.all_lost:
        text = f"{outcome.all_lost} kernel log records were lost, and are not on the console"
        yield _Anomaly(Verdict.MISS, text, yields=True)


# ---------------------------------------------------------------- reasons


def _note(outcome: TestOutcome) -> str:
    found = outcome.all_found
    return f"; {found} kernel log records were lost, and read from the console" if found else ""


def _unmet(cases: Iterable[CaseResult], test: GuestTest, series: str) -> str:
    """Return which claims have cases fail that passed."""
    early = [c.name for c in cases if (c.verdict, c.expected) == (Verdict.PASS, Verdict.FAIL)]
    numbers = {number for name in early if (number := test.claim_on(series, name)) is not None}
    text = ""
    for number in sorted(numbers):
        claim = test.proves[number]
        globs = ", ".join(f'"{pattern}"' for pattern in claim.cases)
        text += f"; {_claim(test, number)}: cases {globs} fail before patch {claim.patch}"
    return text


def _claim(test: GuestTest, number: int) -> str:
    return f"{test.name}/test.toml: proves[{number}]"


def _summary(cases: Sequence[CaseResult]) -> str:
    """Return one line about cases that ran to their end."""
    for verdict, verb in ((Verdict.FAIL, "failed"), (Verdict.ERROR, "broke")):
        names = [case.name for case in cases if case.verdict is verdict]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            listed = ", ".join(names[:_NAMED]) + more
            return f"{len(names)} of {len(cases)} cases {verb}: {listed}"
    skipped = sum(case.verdict in _NO_JUDGMENT for case in cases)
    passed = f"{len(cases) - skipped} of {len(cases)} cases passed"
    return f"{passed}, {skipped} skipped" if skipped else passed
