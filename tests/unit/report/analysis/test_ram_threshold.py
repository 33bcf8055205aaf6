# SPDX-License-Identifier: GPL-2.0-only
"""RAM thresholds as a picture, as Markdown and in the terminal."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from harness.analysis.ram_threshold.search import (
    BOOT,
    Bounds,
    Threshold,
    ThresholdRecord,
    ThresholdRow,
)
from harness.model.jsonio import from_json, to_json
from harness.report.analysis.ram_threshold import figure, markdown, print_thresholds

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "FAIL: <script>alert(1)</script> | \x1b[31m"


def row(arch: str, position: int, test: str, found: Threshold) -> ThresholdRow:
    return ThresholdRow(arch, position, test, "none", found)


@pytest.fixture
def record() -> ThresholdRecord:
    return ThresholdRecord(
        "vmalloc-nofail",
        "debian:5.10",
        "5.10.262",
        ("first", "second"),
        Bounds(24, 128, 4, 3),
        (
            row("x86_64", 0, BOOT, Threshold(28, "panic: no memory")),
            row("x86_64", 2, BOOT, Threshold(28, "panic: no memory")),
            row("x86_64", 0, "sweep", Threshold(None, HOSTILE)),
            row("x86_64", 2, "sweep", Threshold(40, "died", mixed=(36,))),
            row("arm64", 0, "leak", Threshold(64, "")),
            row("arm64", 2, "leak", Threshold(48, "")),
            row("arm64", 0, "wait", Threshold(64, "")),
            row("arm64", 2, "wait", Threshold(None, "lost", finished=False)),
        ),
    )


def test_figure_is_well_formed_and_has_each_row(record: ThresholdRecord) -> None:
    root = ET.fromstring(figure(record))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert len(titles) == len(record.rows)
    assert any("alert(1)" in title for title in titles)
    assert not list(root.iter(f"{SVG}script"))


def test_figure_less_ram_is_further_left(record: ThresholdRecord) -> None:
    root = ET.fromstring(figure(record))
    places = {
        (circle.findtext(f"{SVG}title") or "").split(":")[0]: float(circle.attrib["cx"])
        for circle in root.iter(f"{SVG}circle")
    }
    assert places["arm64 p2 leak"] < places["arm64 p0 leak"]
    assert places["x86_64 p0 boot"] == places["x86_64 p2 boot"] < places["arm64 p2 leak"]


def test_markdown_has_the_move_of_each_threshold(record: ThresholdRecord) -> None:
    text = markdown(record, "picture.svg")
    assert "![thresholds by test, position and architecture](picture.svg)" in text
    assert "| x86_64 | sweep | - | 40M? | passes from 40M on |" in text
    assert "| arm64 | leak | 64M | 48M | -16M |" in text
    assert "| arm64 | wait | 64M | -? |  |" in text
    assert "| x86_64 | boot | 28M | 28M |  |" in text
    assert "<script>" not in text
    assert "mixed at 36M" in text


def test_print_thresholds_marks_doubtful_ones(record: ThresholdRecord) -> None:
    out = io.StringIO()
    print_thresholds(Console(file=out, width=100), record)
    text = out.getvalue()
    assert "x86_64 p2 sweep: 40M, mixed at 36M" in text
    assert "arm64 p2 wait: none (lost), not finished" in text
    assert "\x1b" not in text


def test_threshold_record_json_round_trip(record: ThresholdRecord) -> None:
    assert from_json(ThresholdRecord, to_json(record)) == record
