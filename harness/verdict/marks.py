# SPDX-License-Identifier: GPL-2.0-only
"""Events of a test on the time axis of its samples: cases, splats, OOM kills."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.model.results import MAX_MARKS, Mark
from harness.model.values import SplatKind
from harness.verdict.log_facts import LogFacts
from harness.verdict.oom import kill_text, oom_report

_SUITE = re.compile(r"\s*# Subtest: ")
_RESULT = re.compile(r"\s+((?:not )?ok) \d+(?: -)? (\S.*)")  # indented: a case's, not a suite's


def marks(facts: LogFacts, times: Sequence[int], begun_us: int) -> Iterator[Mark]:
    """Yield the marks of a test that began at *begun_us* and has the log *facts*.

    ``times`` are those of the log's records; all are in microseconds since boot. A case begins
    where the one before it ended.
    """
    for at, kind, text in sorted(_events(facts, times))[:MAX_MARKS]:
        yield Mark((at - begun_us) / 1e6, kind, text)


def _events(facts: LogFacts, times: Sequence[int]) -> Iterator[tuple[int, str, str]]:
    for splat in facts.splats:
        at = times[splat.line - 1]
        if splat.kind is not SplatKind.OOM_KILL:
            yield at, "splat", splat.title
            continue
        report = oom_report(splat.text)
        why = kill_text(report) if report else ""
        yield at, "oom-kill", f"{splat.title}: {why}" if why else splat.title
    begun: int | None = None
    for line in facts.lines:
        if line.quoted:
            continue
        at = times[line.record - 1]
        if _SUITE.match(line.text):
            begun = at
        if result := _RESULT.match(line.text):
            name = result[2].partition(" #")[0]
            if begun is not None:
                yield begun, "case-begin", name
            yield at, "case-end", f"{result[1]} {name}"
            begun = at
