# SPDX-License-Identifier: GPL-2.0-only
"""Splats for people: source line, case, and the functions on the way."""

from __future__ import annotations

from harness.model.results import Frame, Place, Splat
from harness.model.values import SplatKind
from harness.report.splat_text import splat_line, stack_of, where_of

TEXT = "BUG: kernel NULL pointer dereference\nRIP: 0010:victim+0x1b/0x40\n caller+0x5/0x10"
FRAMES = (
    Frame(
        "victim+0x1b/0x40",
        "probe",
        2,
        True,
        (Place("peek", "include/probe.h", 9), Place("victim", "probe.c", 31)),
    ),
    Frame("caller+0x5/0x10", "", 3, False),
)
SPLAT = Splat(
    SplatKind.OOPS, "NULL pointer", TEXT, 4, "null_pointer", "in case null_pointer", FRAMES
)


def test_where_of_is_in_no_header() -> None:
    assert where_of(SPLAT) == "probe.c:31 (victim)"


def test_splat_line() -> None:
    kind = SplatKind.OOPS.value
    said = f"{kind}: NULL pointer at probe.c:31 (victim), in case null_pointer"
    assert splat_line(SPLAT) == said


def test_stack_of_marks_inlined_and_unknown_frames() -> None:
    assert stack_of(SPLAT) == (
        "include/probe.h:9 (peek) inlined",
        "probe.c:31 (victim [probe])",
        "caller (source not known)",
    )


def test_splat_line_without_frames() -> None:
    bare = Splat(SplatKind.WARNING, "x\x1b[31m", "WARNING", 1)
    assert where_of(bare) == ""
    assert stack_of(bare) == ()
    assert splat_line(bare) == r"warning: x\x1b[31m"
