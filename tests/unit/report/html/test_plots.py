# SPDX-License-Identifier: GPL-2.0-only
"""Plots of a guest's memory, laid out for SVG."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.results import Mark
from harness.report.html.plots import LEFT, POINTS_LIMIT, RIGHT, WIDTH, make_figure, thin, ticks
from harness.report.html.timeline import (
    Sample,
    Timeline,
    parse_timeline,
)
from tests.unit.report.html.test_timeline import lines


def test_make_figure_curve_runs_from_first_to_last_sample() -> None:
    entries = [{"t": t / 10, "free_kib": 1024 * (100 - t)} for t in range(11)]
    figure = make_figure(parse_timeline(lines(*entries)))
    assert figure is not None
    (plot,) = figure.plots
    (curve,) = plot.curves
    points = [tuple(map(float, p.split(","))) for p in curve.points.split()]
    assert (points[0][0], points[-1][0]) == (LEFT, WIDTH - RIGHT)
    assert points[0][1] < points[-1][1]  # less is lower
    assert (curve.label, curve.data[0], curve.last) == ("free", 100.0, "90")


def test_make_figure_flags_are_at_their_times() -> None:
    entries: list[dict[str, object]] = [{"t": t, "free_kib": 1} for t in range(11)]
    figure = make_figure(
        parse_timeline(lines(*entries, {"t": 5, "mark": "oom-kill", "text": "of anon"}))
    )
    assert figure is not None
    (flag,) = figure.flags
    assert flag.x == LEFT + (WIDTH - LEFT - RIGHT) / 2
    assert (flag.text, flag.when) == ("OOM kill: of anon", "5.00 s")


def test_make_figure_flag_has_its_label_once() -> None:
    text = "OOM kill of anon, asked by anon: pid 7"
    mark = {"t": 0.5, "mark": "oom-kill", "text": text}
    figure = make_figure(parse_timeline(lines({"t": 0, "n": 1}, {"t": 1, "n": 1}, mark)))
    assert figure is not None
    assert [flag.text for flag in figure.flags] == [text]


def test_make_figure_leaves_out_values_that_stay_zero() -> None:
    entries = [{"t": t, "pswpin": 0, "pswpout": 0, "free_kib": 3} for t in range(3)]
    figure = make_figure(parse_timeline(lines(*entries)))
    assert figure is not None
    assert [plot.title for plot in figure.plots] == ["Free memory"]


def test_make_figure_histogram_is_the_last_one() -> None:
    entries = [{"t": t, "latency_us": [t, 3 * t, 0, t]} for t in range(3)]
    figure = make_figure(parse_timeline(lines(*entries)))
    assert figure is not None
    assert figure.allocations == 10
    assert figure.bars[0].text == "under 1 µs: 2 (20.0%)"
    assert figure.bars[-1].text == "4 µs and more: 2 (20.0%)"
    assert max(bar.height for bar in figure.bars) == figure.bars[1].height


@pytest.mark.parametrize("text", ["", lines({"t": 0, "free_kib": 1})])
def test_make_figure_of_one_sample_is_none(text: str) -> None:
    assert make_figure(parse_timeline(text)) is None


def test_thin_keeps_peaks() -> None:
    points = [(float(t), 1000.0 if t == 4321 else 1.0) for t in range(10_000)]
    kept = thin(points, POINTS_LIMIT)
    assert len(kept) <= POINTS_LIMIT
    assert (4321.0, 1000.0) in kept
    assert list(kept) == sorted(kept)


class Watched(tuple[Sample, ...]):
    """Samples that count how often somebody goes through them all."""

    passes = 0

    def __iter__(self) -> Iterator[Sample]:
        Watched.passes += 1
        return super().__iter__()


def test_make_figure_time_is_linear_in_samples() -> None:
    passes = []
    for count in (10, 200):
        Watched.passes = 0
        samples = (Sample(t, {"free_kib": 1 + t % 7}, {}) for t in range(count))
        marks = tuple(Mark(t, "case-end", "ok x") for t in range(count))
        assert make_figure(Timeline(Watched(samples), marks)) is not None
        passes.append(Watched.passes)
    assert passes[0] == passes[1]


@given(st.floats(0, 1e6), st.floats(1e-3, 1e12), st.integers(2, 10))
def test_ticks_are_few_and_inside(low: float, wide: float, count: int) -> None:
    found = ticks(low, low + wide, count)
    assert len(found) <= count + 1
    assert all(low - wide * 1e-3 <= t <= low + wide * 1.001 for t in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
KEYS = st.sampled_from(["t", "mark", "text", "free_kib", "psi_some_us", "done", "latency_us"])


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=7), max_size=8))
def test_make_figure_of_any_samples(entries: list[dict[str, object]]) -> None:
    figure = make_figure(parse_timeline("\n".join(json.dumps(e) for e in entries)))
    for plot in figure.plots if figure else ():
        for curve in plot.curves:
            assert all(math.isfinite(float(n)) for n in curve.points.replace(",", " ").split())
