# SPDX-License-Identifier: GPL-2.0-only
"""Splats in reports: their line of source, case, stack, and the kill of an OOM splat."""

from __future__ import annotations

from harness.model.results import Frame, Place, Splat
from harness.model.text import one_line, visible
from harness.model.values import SplatKind
from harness.verdict.oom import kill_text, oom_report
from harness.verdict.symbols import blamed, source_of

PLACE_LIMIT = 160  # characters of one line of a stack
LINE_LIMIT = 600  # of the one line about a splat


def where_of(splat: Splat) -> str:
    """Return the line of source to look at first: "mm/vmalloc.c:2506 (vmap_pages)", or ""."""
    frame = blamed(splat)
    place = source_of(frame) if frame else None
    return _place(place) if place else ""


def splat_line(splat: Splat) -> str:
    """Return kind, title, place, case, and the reason of an OOM kill, on one line."""
    text = f"{splat.kind.value}: {splat.title}"
    if where := where_of(splat):
        text += f" at {where}"
    text += f", {splat.when}" if splat.when else ""
    text += f": {why}" if (why := kill_of(splat)) else ""
    return one_line(text, LINE_LIMIT)


def kill_of(splat: Splat) -> str:
    """Return on one line what the OOM killer reports beyond the title; "" of other splats."""
    report = oom_report(splat.text) if splat.kind is SplatKind.OOM_KILL else None
    return one_line(kill_text(report), LINE_LIMIT) if report else ""


def stack_of(splat: Splat) -> tuple[str, ...]:
    """Return a line for each place that the frames of *splat* were compiled from, in order."""
    return tuple(line for frame in splat.frames for line in _frame(frame))


def splat_block(splat: Splat) -> str:
    """Return all that is to be shown of *splat*: its one line, its stack in source, its text."""
    stack = [f"    {line}" for line in stack_of(splat)]
    text = [f"  | {visible(line)}" for line in splat.text.split("\n")]
    return "\n".join((splat_line(splat), *stack, *text))


def _frame(frame: Frame) -> tuple[str, ...]:
    name = frame.symbol.partition("+")[0] + (f" [{frame.module}]" if frame.module else "")
    if not frame.places:
        return (one_line(f"{name}  (source not known)", PLACE_LIMIT),)
    inlined = [f"{_place(place)}  inlined" for place in frame.places[:-1]]
    last = frame.places[-1]
    own = f"{one_line(last.file)}:{last.line} ({name})"
    return tuple(one_line(line, PLACE_LIMIT) for line in (*inlined, own))


def _place(place: Place) -> str:
    return f"{place.file}:{place.line} ({place.function})"
