# SPDX-License-Identifier: GPL-2.0-only
"""Plots of a guest's memory over the time of its test, as coordinates for SVG.

Lengths are in units of the plot's view box. Curves share one time axis; cases of the test are
bands behind them, OOM kills and splats lines across all plots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.model.results import MAX_MARK_TEXT, Mark
from harness.model.text import one_line
from harness.report.html.timeline import (
    Span,
    Timeline,
    case_spans,
    cpu_shares,
    gauges,
    histogram,
    rates,
)

WIDTH, HEIGHT = 640, 84  # of one plot
LEFT, RIGHT = 52, 8  # room for the axis' figures
TOP, BOTTOM = 6, 6
POINTS_LIMIT = 300  # of one line: more than a screen shows
LABEL_ROOM = 7  # a case's number is written where its band is wider
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One line; ``data`` has a value for each point, for reading it off."""

    label: str
    number: int  # of its colour
    points: str  # as SVG writes them
    times: tuple[float, ...]
    data: tuple[float, ...]
    last: str  # its last value, for people


@dataclass(frozen=True)
class Tick:
    """A figure beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """One drawing: what it shows, in which unit, its lines and the figures at its left."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Band:
    """A case behind the lines."""

    x: float
    width: float
    number: int
    name: str
    outcome: str  # "ok", "not ok", "did not end"
    labelled: bool


@dataclass(frozen=True)
class Flag:
    """A mark across all plots."""

    x: float
    kind: str
    text: str
    when: str


@dataclass(frozen=True)
class Bar:
    """One class of the histogram; shares of the highest one."""

    x: float
    width: float
    y: float
    height: float
    text: str


@dataclass(frozen=True)
class Figure:
    """Everything that is drawn for one cell."""

    plots: tuple[Plot, ...]
    bands: tuple[Band, ...]
    flags: tuple[Flag, ...]
    ticks: tuple[Tick, ...]  # of the time axis, in seconds
    start: float  # the time at LEFT, in seconds
    end: float
    bars: tuple[Bar, ...]
    bar_ticks: tuple[Tick, ...]
    allocations: int  # in the histogram


@dataclass(frozen=True)
class _Wanted:
    """A plot to draw unless its values are unknown or all zero."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]  # (name of the value, label)
    read: Callable[[Timeline, str], Points]
    scale: float = 1.0
    top: float | None = None  # of the axis, where it is not the highest value


_PLOTS = (
    _Wanted(
        "Free memory",
        "MiB",
        (("free_kib", "free"), ("available_kib", "available"), ("reclaimable_kib", "reclaimable")),
        gauges,
        1 / 1024,
    ),
    _Wanted(
        "Used by",
        "MiB",
        (
            ("anon_kib", "anonymous"),
            ("file_kib", "page cache"),
            ("slab_kib", "slab"),
            ("vmalloc_kib", "vmalloc"),
            ("swap_used_kib", "swap"),
        ),
        gauges,
        1 / 1024,
    ),
    _Wanted(
        "Stalled on memory (PSI)",
        "%",
        (("psi_some_us", "some tasks"), ("psi_full_us", "all tasks")),
        rates,
        1e-4,
        100.0,
    ),
    _Wanted(
        "Reclaim",
        "pages/s",
        (
            ("pgscan_direct", "scanned by allocations"),
            ("pgscan_kswapd", "scanned by kswapd"),
            ("pgsteal", "reclaimed"),
        ),
        rates,
    ),
    _Wanted("Swap", "pages/s", (("pswpin", "in"), ("pswpout", "out")), rates),
    _Wanted(
        "Allocations that waited",
        "1/s",
        (("allocstall", "for reclaim"), ("compact_stall", "for compaction")),
        rates,
    ),
    _Wanted("The test's allocations", "1/s", (("done", "done"), ("retries", "retries")), rates),
    _Wanted("CPU", "%", (("system_ms", "kernel"), ("user_ms", "programs")), cpu_shares),
)
FLAGS = {"oom-kill": "OOM kill", "splat": "splat", "stuck": "stuck"}


def make_figure(timeline: Timeline) -> Figure | None:
    """Return what to draw for *timeline*; None where it has too few samples to draw a line."""
    if len(timeline.samples) < 2:
        return None
    start, end = timeline.span
    plots = [_plot(timeline, wanted) for wanted in _PLOTS]
    bars, bar_ticks, allocations = _bars(histogram(timeline, "latency_us"))
    return Figure(
        plots=tuple(plot for plot in plots if plot),
        bands=tuple(_band(timeline, n, s) for n, s in enumerate(case_spans(timeline), 1)),
        flags=tuple(_flag(timeline, mark) for mark in timeline.marks if mark.kind in FLAGS),
        ticks=tuple(Tick(_x(timeline, t), _figure(t)) for t in ticks(start, end, 8)),
        start=round(start, 3),
        end=round(end, 3),
        bars=bars,
        bar_ticks=bar_ticks,
        allocations=allocations,
    )


def _plot(timeline: Timeline, wanted: _Wanted) -> Plot | None:
    lines = [(label, wanted.read(timeline, name)) for name, label in wanted.lines]
    known = [
        (number, label, [(t, value * wanted.scale) for t, value in points])
        for number, (label, points) in enumerate(lines, 1)
        if any(value for _, value in points)
    ]
    if not known:
        return None
    highest = max(value for _, _, points in known for _, value in points)
    scale = ticks(0.0, max(wanted.top or 0.0, highest), 3)
    top = max(scale[-1], highest)
    curves = tuple(_curve(timeline, n, label, points, top) for n, label, points in known)
    figures = tuple(Tick(_y(value, top), _figure(value)) for value in scale)
    return Plot(wanted.title, wanted.unit, curves, figures)


def _curve(timeline: Timeline, number: int, label: str, points: Points, top: float) -> Curve:
    kept = thin(points, POINTS_LIMIT)
    return Curve(
        label=label,
        number=number,
        points=" ".join(f"{_x(timeline, t):g},{_y(value, top):g}" for t, value in kept),
        times=tuple(round(t, 3) for t, _ in kept),
        data=tuple(float(f"{value:.4g}") for _, value in kept),
        last=_figure(kept[-1][1]),
    )


def thin(points: Points, limit: int) -> Points:
    """Return at most about *limit* of *points*: of each stretch the lowest and the highest."""
    if len(points) <= limit:
        return points
    size = math.ceil(len(points) * 2 / limit)
    kept: list[tuple[float, float]] = []
    for at in range(0, len(points), size):
        stretch = points[at : at + size]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Return about *count* round figures from *low* to *high* or just above.

    They are multiples of 1, 2 or 5 times a power of ten; the first is not below *low*.
    """
    wide = high - low
    if not wide > 0:
        return (low,) if low else (0.0, 1.0)
    rough = wide / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{n * step:.12g}") for n in range(first, last + 1))


def _band(timeline: Timeline, number: int, span: Span) -> Band:
    x, end = _x(timeline, span.start), _x(timeline, span.end)
    outcome = {True: "ok", False: "not ok", None: "did not end"}[span.ok]
    name, width = one_line(span.name, 80), round(max(0.5, end - x), 1)
    return Band(x, width, number, name, outcome, width > LABEL_ROOM * len(str(number)))


def _flag(timeline: Timeline, mark: Mark) -> Flag:
    label = FLAGS[mark.kind]
    # The title of an OOM kill begins so itself.
    text = one_line(
        mark.text if mark.text.startswith(label) else f"{label}: {mark.text}", MAX_MARK_TEXT
    )
    return Flag(_x(timeline, mark.t), mark.kind, text, f"{mark.t:.2f} s")


def _bars(counts: Sequence[float]) -> tuple[tuple[Bar, ...], tuple[Tick, ...], int]:
    """Return the histogram: class n holds what took less than 2**n µs, the last one the rest."""
    total = sum(counts)
    if not total > 0:
        return (), (), 0
    wide = (WIDTH - LEFT - RIGHT) / len(counts)
    room, highest = HEIGHT - TOP - BOTTOM, max(counts)
    bars = []
    for n, count in enumerate(counts):
        height = room * max(0.0, count) / highest
        rest = n == len(counts) - 1 and n > 0
        border = f"{_duration(2.0 ** (n - 1))} and more" if rest else f"under {_duration(2.0**n)}"
        text = f"{border}: {count:,.0f} ({count / total:.1%})"
        x, y = round(LEFT + n * wide + 1, 1), round(TOP + room - height, 1)
        bars.append(Bar(x, round(wide - 2, 1), y, round(height, 1), text))
    step = max(1, math.ceil(len(counts) / 8))
    borders = range(step, len(counts), step)
    places = tuple(Tick(round(LEFT + n * wide, 1), _duration(2.0 ** (n - 1))) for n in borders)
    return tuple(bars), places, int(total)


def _duration(micros: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if micros >= size:
            return f"{micros / size:.3g} {unit}"
    return f"{micros:g} µs"


def _x(timeline: Timeline, t: float) -> float:
    start, end = timeline.span
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (t - start) / (end - start), 1)


def _y(value: float, top: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)


def _figure(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= 10 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
