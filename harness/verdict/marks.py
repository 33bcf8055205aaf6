# SPDX-License-Identifier: GPL-2.0-only
"""What happened when in a test's log, for who draws it: suites, results, splats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.guest.samples import MAX_MARKS, Mark
from harness.model.results import Splat
from harness.model.values import SplatKind
from harness.verdict.klog import log_lines
from harness.verdict.oom import oom_report, say_kill

_SUITE = re.compile(r"\s*# Subtest: ")
_RESULT = re.compile(r"\s+((?:not )?ok) \d+(?: -)? (\S.*)")  # indented: a case's, not a suite's


def marks(
    records: Sequence[tuple[int, str]], splats: Iterable[Splat], begun_us: int
) -> Iterator[Mark]:
    """Yield the marks of a test whose kernel log is *records*, (microseconds, text) each.

    ``Splat.line`` counts the records from 1. A case begins where the one before it ended.
    """
    for at, kind, text in sorted(_events(records, splats))[:MAX_MARKS]:
        yield Mark((at - begun_us) / 1e6, kind, text)


def _events(
    records: Sequence[tuple[int, str]], splats: Iterable[Splat]
) -> Iterator[tuple[int, str, str]]:
    for splat in splats if records else ():
        at = records[min(splat.line, len(records)) - 1][0]
        if splat.kind is not SplatKind.OOM_KILL:
            yield at, "splat", splat.title
            continue
        report = oom_report(splat.text)
        why = say_kill(report) if report else ""
        yield at, "oom-kill", f"{splat.title}: {why}" if why else splat.title
    begun: int | None = None
    for line in log_lines(text for _, text in records):
        at = records[line.record - 1][0]
        if not line.quoted and _SUITE.match(line.text):
            begun = at
        result = None if line.quoted else _RESULT.match(line.text)
        if result is None:
            continue
        name = result[2].partition(" #")[0]
        if begun is not None:
            yield begun, "case-begin", name
        yield at, "case-end", f"{result[1]} {name}"
        begun = at
