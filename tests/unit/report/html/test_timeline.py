# SPDX-License-Identifier: GPL-2.0-only
"""Samples and marks of a cell, read for a report."""

from __future__ import annotations

import json

import pytest

from harness.report.html.timeline import (
    MAX_SAMPLES,
    case_spans,
    cpu_shares,
    parse_timeline,
    rates,
)


def lines(*entries: dict[str, object]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def test_parse_timeline_sorts_samples_and_marks() -> None:
    text = lines({"t": 2, "free_kib": 5}, {"t": 1, "mark": "splat", "text": "x"}, {"t": 0, "a": 1})
    timeline = parse_timeline(text)
    assert [s.t for s in timeline.samples] == [0, 2]
    assert [(m.t, m.kind, m.text) for m in timeline.marks] == [(1, "splat", "x")]


def test_parse_timeline_skips_lines_that_are_no_samples() -> None:
    text = '{"t": 1e999}\n[1]\n{"t": true}\nno json\n{"t": "1"}\n{"free_kib": 3}\n{"t": 1e300}\n'
    nested = "[" * 100_000
    assert parse_timeline(text + nested).samples == ()


def test_parse_timeline_integer_beyond_floats_is_skipped() -> None:
    timeline = parse_timeline('{"t": 1, "free_kib": ' + "9" * 400 + "}")
    assert timeline.samples[0].values == {}


def test_rates_of_a_counter_skip_where_it_went_back() -> None:
    entries = [{"t": t, "n": n} for t, n in ((0, 10), (0.5, 20), (1, 5), (2, 6))]
    assert rates(parse_timeline(lines(*entries)), "n") == ((0.5, 20.0), (2.0, 1.0))


def test_cpu_shares_with_coarse_ticks() -> None:
    entries = [
        {"t": 0, "user_ms": 0, "system_ms": 0, "idle_ms": 0},
        {"t": 0.1, "user_ms": 30, "system_ms": 90, "idle_ms": 0},
        {"t": 0.2, "user_ms": 30, "system_ms": 90, "idle_ms": 0},
        {"t": 0.3, "user_ms": 30, "system_ms": 100, "idle_ms": 30},
    ]
    shares = cpu_shares(parse_timeline(lines(*entries)), "system_ms")
    assert shares == ((0.1, pytest.approx(75)), (0.3, pytest.approx(25)))


def test_case_spans_unfinished_case_lasts_to_the_end() -> None:
    text = lines(
        {"t": 0, "mark": "case-begin", "text": "first"},
        {"t": 1, "mark": "case-end", "text": "ok first"},
        {"t": 2, "mark": "case-end", "text": "not ok second"},
        {"t": 2, "mark": "case-begin", "text": "third"},
        {"t": 9, "free_kib": 1},
    )
    spans = [(s.name, s.start, s.end, s.ok) for s in case_spans(parse_timeline(text))]
    assert spans == [("first", 0, 1, True), ("second", 1, 2, False), ("third", 2, 9, None)]


def test_parse_timeline_of_too_many_samples_covers_the_whole_time() -> None:
    count = 5 * MAX_SAMPLES // 2
    flood = lines(*({"t": t, "free_kib": 1} for t in range(count)))
    last = {"t": count, "mark": "splat", "text": "the last"}
    timeline = parse_timeline(flood + lines(last))
    assert MAX_SAMPLES / 2 < len(timeline.samples) <= MAX_SAMPLES
    assert (timeline.samples[0].t, timeline.samples[-1].t) == (1, count - 1)
    assert [mark.text for mark in timeline.marks] == ["the last"]
    junk = lines(*({"t": t, "mark": t} for t in range(count)))
    assert [mark.text for mark in parse_timeline(junk + lines(last)).marks] == ["the last"]
