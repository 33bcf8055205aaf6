# SPDX-License-Identifier: GPL-2.0-only
"""Splats for people: where in the source, in which case, and through which functions."""

from __future__ import annotations

from harness.frames import blamed, source_of
from harness.record import Frame, Place, Splat
from harness.report.evidence import one_line

PLACE_LIMIT = 160  # characters of one line of a stack


def where_of(splat: Splat) -> str:
    """Return the line of source to look at first: "mm/vmalloc.c:2506 (vmap_pages)", or ""."""
    frame = blamed(splat)
    place = source_of(frame) if frame else None
    return _place(place) if place else ""


def splat_line(splat: Splat) -> str:
    """Say on one line what the kernel complained of, where, and in which case."""
    said = f"{splat.kind.value}: {splat.title}"
    if where := where_of(splat):
        said += f" at {where}"
    return one_line(f"{said}, {splat.when}" if splat.when else said)


def stack_of(splat: Splat) -> tuple[str, ...]:
    """Return a line for each place that the frames of *splat* were compiled from, in order."""
    return tuple(line for frame in splat.frames for line in _frame(frame))


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
