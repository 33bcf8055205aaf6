# SPDX-License-Identifier: GPL-2.0-only
"""All that a kernel log says, read once: its lines, KTAP, splats and reports of the OOM killer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.model.results import Splat
from harness.verdict.klog import LogLine, log_lines
from harness.verdict.ktap import KtapResult, KtapTest, parse
from harness.verdict.oom import OomReport, oom_reports
from harness.verdict.splat import find_splats
from harness.verdict.symbols import case_function

_UNNAMED = re.compile(r"case \d+$")  # name that the KTAP parser gives to a case without one


@dataclass(frozen=True)
class LogFacts:
    """A kernel log that was read by :func:`read_log`."""

    lines: tuple[LogLine, ...]
    ktap: KtapResult
    splats: tuple[Splat, ...]  # each with the case that was running
    oom_reports: tuple[OomReport, ...]  # all of them: of a storm of splats not all are kept


def read_log(records: Iterable[str]) -> LogFacts:
    """Read *records*, a kernel log of console lines or kmsg records; never raises.

    Lines and splats count the elements of *records* from 1.
    """
    lines = tuple(log_lines(records))
    ktap, splats = parse(lines), find_splats(lines)
    ktap = _name_running(ktap, case_function([s for s in splats if s.line > ktap.began]))
    reports = oom_reports(line.text for line in lines if not line.quoted)
    return LogFacts(lines, ktap, _attributed(splats, ktap), tuple(reports))


# ---------------------------------------------------------------- which case a splat belongs to


def _attributed(splats: Sequence[Splat], ktap: KtapResult) -> tuple[Splat, ...]:
    """Return *splats*, each with the case of *ktap* that was running."""
    # A suite that failed by itself ran nothing while its cases did not.
    leaves = [(name, test) for name, test in ktap.leaves() if not test.tests]
    return tuple(_with_case(splat, ktap, leaves) for splat in splats)


def _with_case(splat: Splat, ktap: KtapResult, leaves: list[tuple[str, KtapTest]]) -> Splat:
    if not ktap.began or splat.line < ktap.began:
        return replace(splat, case="", when="before the first case")
    for name, test in leaves:
        # KUnit prints the diagnostics of a case before its result.
        if not test.finished or test.ended > splat.line:
            return replace(splat, case=name, when=f"in case {name}")
    after = f"after the last case, {leaves[-1][0]}" if leaves else "after the last case"
    return replace(splat, case="", when=after)


def _name_running(ktap: KtapResult, name: str) -> KtapResult:
    """Return *ktap* with the case that has no result called *name*, unless it has a name."""
    return replace(ktap, tests=_named(ktap.tests, name)) if name else ktap


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
