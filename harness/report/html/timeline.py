# SPDX-License-Identifier: GPL-2.0-only
"""``samples.jsonl`` of a cell, read for a report: samples of memory, and marks of events.

A sample has the time ``t`` (seconds since the test began) and counters; a mark has ``mark`` and
``text`` as well. Other lines are skipped: a guest may send anything.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.model.results import MAX_MARKS, Mark

LONGEST_S = 7 * 24 * 3600.0  # later times are not believed
LIST_LIMIT = 64  # entries of a list, as of a histogram
MAX_SAMPLES = 20_000  # half an hour of them, and far more than a plot has points


@dataclass(frozen=True)
class Sample:
    """The guest's counters at one time."""

    t: float  # seconds since the test began
    values: Mapping[str, float]
    lists: Mapping[str, tuple[float, ...]]  # "free_orders", "latency_us"


@dataclass(frozen=True)
class Timeline:
    """Samples and marks of a cell, each in the order of their times."""

    samples: tuple[Sample, ...] = ()
    marks: tuple[Mark, ...] = ()

    @cached_property  # asked for again with each point that is drawn
    def span(self) -> tuple[float, float]:
        """The first and the last time known, at least 0.01 s apart."""
        times = [s.t for s in self.samples] + [m.t for m in self.marks]
        start, end = min(times, default=0.0), max(times, default=0.0)
        return start, max(end, start + 0.01)


def parse_timeline(text: str) -> Timeline:
    """Read ``samples.jsonl``; never raises, skips lines that are neither sample nor mark.

    Of more samples than MAX_SAMPLES it reads every second one, or third, and the last.
    """
    marked, unmarked = list[str](), list[str]()
    for line in text.splitlines():
        (marked if '"mark"' in line else unmarked).append(line)
    step = max(1, math.ceil(len(unmarked) / MAX_SAMPLES))
    samples, marks = [], []
    # The marks are at the end of the file: the harness adds them when the test is over.
    for entry in _objects((*unmarked[::-step][::-1], *marked[-MAX_SAMPLES:])):
        t = _number(entry.get("t"))
        if t is None or abs(t) > LONGEST_S:
            continue
        kind = entry.get("mark")
        if isinstance(kind, str):
            marks.append(Mark(t, kind, str(entry.get("text", ""))))
        elif kind is None:
            samples.append(_sample(t, entry))
    samples.sort(key=lambda s: s.t)
    marks.sort(key=lambda m: m.t)
    return Timeline(tuple(samples), tuple(marks[:MAX_MARKS]))


def _objects(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _sample(t: float, entry: Mapping[str, object]) -> Sample:
    values: dict[str, float] = {}
    lists: dict[str, tuple[float, ...]] = {}
    for name, value in entry.items():
        if isinstance(value, list):
            numbers = [_number(item) for item in value[:LIST_LIMIT]]
            lists[name] = tuple(n for n in numbers if n is not None)
        elif name != "t" and (number := _number(value)) is not None:
            values[name] = number
    return Sample(t, values, lists)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Span:
    """A case, from its begin to its end."""

    name: str
    start: float
    end: float
    ok: bool | None  # None: it did not end


def case_spans(timeline: Timeline) -> tuple[Span, ...]:
    """Pair the begins and ends of cases; one that never ended lasts until the last time known."""
    spans: list[Span] = []
    begun: Mark | None = None
    for mark in timeline.marks:
        if mark.kind == "case-begin":
            begun = mark
        elif mark.kind == "case-end":
            failed = mark.text.startswith("not ")
            name = mark.text.removeprefix("not ").removeprefix("ok ")
            start = begun.t if begun else (spans[-1].end if spans else timeline.span[0])
            spans.append(Span(name, start, max(start, mark.t), not failed))
            begun = None
    if begun:
        spans.append(Span(begun.text, begun.t, timeline.span[1], None))
    return tuple(spans)


def rates(timeline: Timeline, name: str) -> tuple[tuple[float, float], ...]:
    """Return (t, per second) of a counter that only grows; nothing where it went back."""
    known = [(s.t, s.values[name]) for s in timeline.samples if name in s.values]
    return tuple(
        (t, (value - before) / (t - since))
        for (since, before), (t, value) in itertools.pairwise(known)
        if t > since and value >= before
    )


def cpu_shares(timeline: Timeline, name: str) -> tuple[tuple[float, float], ...]:
    """Return (t, percent) of CPU time spent in *name* since the sample before.

    The whole is the time that the guest counted, in ticks, not that of the clock.
    """
    parts = [dict(rates(timeline, part)) for part in ("user_ms", "system_ms", "idle_ms")]
    return tuple(
        (t, 100 * rate / whole)
        for t, rate in rates(timeline, name)
        if 0 < (whole := sum(part.get(t, 0.0) for part in parts)) < math.inf
    )


def gauges(timeline: Timeline, name: str) -> tuple[tuple[float, float], ...]:
    """Return (t, value) of a gauge."""
    return tuple((s.t, s.values[name]) for s in timeline.samples if name in s.values)


def histogram(timeline: Timeline, name: str) -> tuple[float, ...]:
    """Return the last state of a histogram that only grows; empty where there is none."""
    for sample in reversed(timeline.samples):
        if sample.lists.get(name):
            return sample.lists[name]
    return ()
