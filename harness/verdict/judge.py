# SPDX-License-Identifier: GPL-2.0-only
"""From what was seen to what it means: verdicts of cases and cells.

A case that a test's ``proves`` names must fail at every position before its patch and pass from
it on; every other case passes everywhere. FAIL is said only of the kernel under test: where the
test broke it is ERROR, and where the harness could not look it is MISS.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain

from harness.model.results import CaseResult, CellResult, Ended, Splat, TestOutcome
from harness.model.values import Cell, GuestTest, SplatKind, Verdict
from harness.plan.loads import loads_named
from harness.verdict.changes import Change, PatchEffect, effects, what_changed
from harness.verdict.klog import log_lines
from harness.verdict.ktap import KtapResult, KtapTest, parse
from harness.verdict.oom import Victim, kills_in, whose_end
from harness.verdict.phases import death, ends_of, log_of, splats_in, verdict_of_end
from harness.verdict.splat import find_splats, is_death
from harness.verdict.symbols import case_function

__all__ = [
    "Change",
    "PatchEffect",
    "effects",
    "expected_case",
    "expected_test",
    "judge",
    "judge_boot_failure",
    "missed_result",
    "skipped_result",
    "what_changed",
]
# Panics before a guest is ready that tell of our image, our PID 1 or too little RAM to boot in,
# not of a patch.
_NOT_UP = re.compile(
    r"Unable to mount root|No working init|Requested init|Attempted to kill init"
    r"|System is deadlocked on memory|Out of memory"
)
_REFUSALS = re.compile(r"Unknown symbol|disagrees about version|version magic|no symbol version")
# What an OOM kill that is not tolerated means, by whom it took. Without a part of the guest's own,
# nobody has seen all that the kernel did.
_BLAME = {
    Victim.GUEST: Verdict.MISS,
    Victim.LOADER: Verdict.FAIL,
    Victim.TEST: Verdict.FAIL,
}
_JUDGES_NOTHING = (Verdict.SKIP, Verdict.DONE)
_NAMED = 3  # how many names or titles a reason spells out


@dataclass(frozen=True)
class _Anomaly:
    """Something wrong beside the cases' own verdicts."""

    verdict: Verdict
    text: str
    leaves_bad: bool = False  # it takes nothing from a verdict that is worse


# ---------------------------------------------------------------- what is expected


def expected_case(test: GuestTest, series: str, position: int, case: str) -> Verdict:
    """Return FAIL where *case* must show what its patch mends, else PASS."""
    return Verdict.FAIL if position < test.fails_before(series, case) else Verdict.PASS


def expected_test(
    test: GuestTest, series: str, position: int, cases: Collection[str] = ()
) -> Verdict:
    """Return FAIL if any case is expected to fail at *position*, else PASS.

    ``cases`` are the names that are known; a claim that none of them bears out still counts,
    so that a ``proves`` which names no real case comes to light.
    """
    if any(expected_case(test, series, position, case) is Verdict.FAIL for case in cases):
        return Verdict.FAIL
    for claim in test.proves:
        unborne = not any(fnmatchcase(case, p) for case in cases for p in claim.cases)
        if claim.series == series and position < claim.patch and unborne:
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
    """Return *cell*'s verdict by what *test* did in the guest.

    ``tolerated_splats`` are those of the loads, beside those of the test. The
    result has neither argv nor evidence.
    """
    ktap = parse(outcome.log)
    splats = find_splats(outcome.log)
    ktap = name_running(ktap, case_function([s for s in splats if s.line > ktap.began]))
    splats = attributed(splats, ktap)
    ordinary = tolerated_splats | test.tolerated_at(series, cell.position)
    cases = tuple(
        _judged(case, test, series, cell.position)
        for case in ktap.cases(unfinished=verdict_of_end(outcome.ended, splats))
    )
    loads = loads_named((cell.load,))
    kills = kills_in((*outcome.log, *log_of(outcome.phases)), loads)
    blame = _blame(test.tolerated_at(series, cell.position))
    others = [splat for splat in splats if whose_end(splat, loads) not in blame]
    aside = tuple(chain.from_iterable(splats_in(outcome.phases)))
    titled = [_with_time(splat) for splat in aside if whose_end(splat, loads) not in blame]
    died = any(phase.ended is Ended.DIED for phase in outcome.phases)
    anomalies = (
        *(_Anomaly(*end) for end in ends_of(outcome.phases)),
        *_of_kills(kills.said, blame),
        *_of_end(test, outcome, ktap, splats),
        *_of_splats(others, ordinary, outcome.ended),
        *_of_results(test, outcome, ktap),
        *_of_splats(titled, ordinary, Ended.DIED if died else Ended.DONE),
        *_of_loads(outcome, kills.of_loads if SplatKind.OOM_KILL in ordinary else ()),
        *_of_lost(outcome),
    )
    verdict = _verdict_of(cases, anomalies)
    expected = expected_test(test, series, cell.position, [case.name for case in cases])
    if verdict in _JUDGES_NOTHING and all(case.as_expected for case in cases):
        expected = verdict
    return CellResult(
        cell=cell,
        verdict=verdict,
        expected=expected,
        reason=("; ".join(a.text for a in anomalies) or _summary(cases)) + _note(outcome),
        cases=cases,
        splats=splats + aside,
        seconds=outcome.seconds,
        found_records=outcome.all_found,
        anomalies=tuple(a.text for a in anomalies),
    )


def judge_boot_failure(
    cell: Cell, test: GuestTest, series: str, console: Iterable[str]
) -> CellResult:
    """Return the verdict of a cell whose guest never became ready.

    FAIL where the kernel itself spoke of its death on *console*; a guest that was silent, or
    that died of what the harness gave it, is a MISS.
    """
    lines = tuple(console)
    splats = find_splats(lines)
    death = next((splat for splat in splats if is_death(splat)), None)
    if death is None or (death.kind is SplatKind.PANIC and _NOT_UP.search(death.title)):
        text = f"the guest did not come up: {death.title if death else _last_words(lines)}"
        return replace(missed_result(cell, test, series, text), splats=splats)
    text = f"the kernel died before it was ready: {death.title}"
    return replace(missed_result(cell, test, series, text), verdict=Verdict.FAIL, splats=splats)


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
    if any(a.verdict is Verdict.MISS and not a.leaves_bad for a in anomalies):
        return Verdict.MISS  # what came before our own part broke is not the whole story
    return Verdict.worst((*(c.verdict for c in cases), *(a.verdict for a in anomalies)))


def _judged(case: CaseResult, test: GuestTest, series: str, position: int) -> CaseResult:
    expected = expected_case(test, series, position, case.name)
    # A case may skip itself where it does not apply, but not one that is to prove a patch.
    if case.verdict in _JUDGES_NOTHING and not test.fails_before(series, case.name):
        expected = case.verdict
    return replace(case, expected=expected)


# ---------------------------------------------------------------- anomalies


def _of_end(
    test: GuestTest, outcome: TestOutcome, ktap: KtapResult, splats: Sequence[Splat]
) -> Iterator[_Anomaly]:
    if ktap.running:
        # KUnit of 5.10 names a case only when it ends: "case 2" is all that is known.
        where = f"in case {ktap.running.removeprefix('case ')}"
    elif ktap.tests:
        where = "after the last case" if not ktap.missing else "between cases"
    else:
        where = "before the first case"
    match outcome.ended:
        case Ended.DIED:
            text = death(where, splats, outcome.reason)
            yield _Anomaly(verdict_of_end(outcome.ended, splats), text)
        case Ended.STUCK:
            kind = outcome.stuck.value.upper() if outcome.stuck else "STUCK"
            place = f" in {outcome.where}" if outcome.where else ""
            yield _Anomaly(Verdict.FAIL, f"{kind}{place}, {where}: {outcome.reason}")
        case Ended.SILENT:
            sign = f" ({outcome.reason})" if outcome.reason else ""
            yield _Anomaly(Verdict.FAIL, f"no answer for {outcome.seconds:.0f} s {where}{sign}")
        case Ended.REFUSED:
            yield _Anomaly(Verdict.ERROR, _refusal(test, outcome))
        case Ended.LOST:
            yield _Anomaly(Verdict.MISS, outcome.reason or f"the link to the guest broke {where}")
        case Ended.UNTRIED:
            reason = outcome.reason or "the test was not run"
            yield _Anomaly(Verdict.MISS, reason, leaves_bad=True)


def _refusal(test: GuestTest, outcome: TestOutcome) -> str:
    """Say why the module did not go in, in the kernel's own words where it had any."""
    if not outcome.errno:
        return outcome.reason or f"module {test.module} could not be loaded"
    name = errno.errorcode.get(outcome.errno, f"errno {outcome.errno}")
    said = next((line.text for line in log_lines(outcome.log) if _REFUSALS.search(line.text)), "")
    said = said.strip() or os.strerror(outcome.errno)
    return f"the kernel refused module {test.module}: {name}: {said}"


def _of_splats(
    splats: Sequence[Splat], ordinary: frozenset[SplatKind], ended: Ended
) -> Iterator[_Anomaly]:
    unexpected = [s for s in splats if s.kind not in ordinary or is_death(s)]
    if ended is Ended.DIED:
        deaths = [splat for splat in unexpected if is_death(splat)]
        unexpected = [splat for splat in unexpected if splat not in deaths[:1]]  # named already
    titles = list(dict.fromkeys(splat.title for splat in unexpected))
    for title in titles[:_NAMED]:
        yield _Anomaly(Verdict.FAIL, title)
    if len(titles) > _NAMED:
        yield _Anomaly(Verdict.FAIL, f"{len(titles) - _NAMED} more kinds of splats")


def _blame(tolerated_splats: Collection[SplatKind]) -> dict[Victim, Verdict]:
    """Return what each kill means for a test with these *tolerated_splats*.

    That spares the programs that it brings for the OOM killer, but not the task that loads it,
    which is the last to be taken.
    """
    spared = {Victim.TEST} if SplatKind.OOM_KILL in tolerated_splats else set()
    return {whose: verdict for whose, verdict in _BLAME.items() if whose not in spared}


def _of_kills(
    said: Mapping[Victim, Sequence[str]], blame: Mapping[Victim, Verdict]
) -> Iterator[_Anomaly]:
    for whose, verdict in blame.items():
        texts = said.get(whose, ())
        yield from (_Anomaly(verdict, text) for text in texts[:_NAMED])
        if len(texts) > _NAMED:
            text = f"{len(texts) - _NAMED} more kinds of OOM kills of {whose.value}"
            yield _Anomaly(verdict, text)


def _of_results(test: GuestTest, outcome: TestOutcome, ktap: KtapResult) -> Iterator[_Anomaly]:
    """Yield what is wrong with the results of a module that loaded and came to its end."""
    if outcome.ended is not Ended.DONE:
        return
    if not ktap.tests:
        yield _Anomaly(Verdict.ERROR, f"module {test.module} loaded but printed no KTAP")
        return
    suites = [suite.name for suite in ktap.tests]
    if test.suite not in suites:
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


def _of_loads(outcome: TestOutcome, killed: Collection[str]) -> Iterator[_Anomaly]:
    """A load that went away leaves a test without what the cell says it ran under.

    Unless it is one of those *killed* and that was its end: one that exits found something wrong.
    What broke its file system is the kernel.
    """
    yield from (_Anomaly(Verdict.FAIL, text) for text in outcome.unsound)
    yield from (_Anomaly(Verdict.ERROR, text) for text in outcome.load_broke)
    excused = {f"{name}: signal 9" for name in killed}
    odd = [end for end in outcome.load_ended.split("; ") if end and end not in excused]
    if odd:
        yield _Anomaly(Verdict.ERROR, f"the load ended by itself: {'; '.join(odd)}")


# ---------------------------------------------------------------- records that were lost


def _of_lost(outcome: TestOutcome) -> Iterator[_Anomaly]:
    """What the kernel said, and nobody has seen, may be anything: all cannot be well then."""
    if outcome.all_lost:
        text = f"{outcome.all_lost} kernel log records were lost, and are not on the console"
        yield _Anomaly(Verdict.MISS, text, leaves_bad=True)


def _note(outcome: TestOutcome) -> str:
    found = outcome.all_found
    return f"; {found} kernel log records were lost, and read from the console" if found else ""


# ---------------------------------------------------------------- words


def _summary(cases: Sequence[CaseResult]) -> str:
    """Return one line about cases that ran to their end."""
    for verdict, said in ((Verdict.FAIL, "failed"), (Verdict.ERROR, "broke")):
        names = [case.name for case in cases if case.verdict is verdict]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            listed = ", ".join(names[:_NAMED]) + more
            return f"{len(names)} of {len(cases)} cases {said}: {listed}"
    skipped = sum(case.verdict in _JUDGES_NOTHING for case in cases)
    passed = f"{len(cases) - skipped} of {len(cases)} cases passed"
    return f"{passed}, {skipped} skipped" if skipped else passed


def _last_words(lines: Sequence[str]) -> str:
    texts = [line.text for line in log_lines(lines[-50:]) if line.text.strip()]
    return f"its console ended with '{texts[-1].strip()[:120]}'" if texts else "it was silent"


_UNNAMED = re.compile(r"case \d+$")  # how KTAP without a name for what was running is read


def attributed(splats: Sequence[Splat], ktap: KtapResult) -> tuple[Splat, ...]:
    """Return *splats*, each with the case of *ktap*, of the same log, that was running."""
    # A suite that failed by itself ran nothing while its cases did not.
    leaves = [(name, test) for name, test in ktap.leaves() if not test.tests]
    return tuple(_attributed(splat, ktap, leaves) for splat in splats)


def _attributed(splat: Splat, ktap: KtapResult, leaves: list[tuple[str, KtapTest]]) -> Splat:
    if not ktap.began or splat.line < ktap.began:
        return replace(splat, case="", when="before the first case")
    for name, test in leaves:
        # KUnit prints what a case says before its result: all since the last one is its own.
        if not test.finished or test.ended > splat.line:
            return replace(splat, case=name, when=f"in case {name}")
    after = f"after the last case, {leaves[-1][0]}" if leaves else "after the last case"
    return replace(splat, case="", when=after)


def name_running(ktap: KtapResult, name: str) -> KtapResult:
    """Return *ktap* with the case that has no result called *name*, if it has no name so far."""
    if not name:
        return ktap
    return replace(ktap, tests=_named(ktap.tests, name))


def _named(tests: tuple[KtapTest, ...], name: str) -> tuple[KtapTest, ...]:
    taken = {test.name for test in tests}
    return tuple(
        replace(test, tests=_named(test.tests, name))
        if test.tests
        else replace(test, name=name)
        if not test.finished and _UNNAMED.match(test.name) and name not in taken
        else test
        for test in tests
    )
