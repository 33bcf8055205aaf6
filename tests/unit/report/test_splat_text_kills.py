# SPDX-License-Identifier: GPL-2.0-only
"""OOM kills for people: in the terminal, in JUnit, on the HTML page, on the plots' marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.model.results import MAX_MARK_TEXT, Splat
from harness.model.values import SplatKind, Verdict
from harness.report.junit import write_junit
from harness.report.splat_text import kill_of, splat_line
from harness.verdict.log_facts import read_log
from harness.verdict.marks import marks
from tests.unit.golden import FOLDER
from tests.unit.html_tree import panel, read
from tests.unit.sample_run import find, make_run

LOG = (FOLDER / "oom/seen-global-6.12-arm64.log").read_text(encoding="utf-8").split("\n")
TOLD = (
    "pid 34 had 2640 KiB of RAM; order 0, GFP_KERNEL|__GFP_HIGHMEM|__GFP_NOWARN, no constraint; "
    "free 869 pages; Normal free 3476 KiB, min watermark 4924 KiB"
)
EVIL = "</p><script>x\x07"


def splat_of(*lines: str) -> Splat:
    (splat,) = read_log(lines).splats
    assert splat.kind is SplatKind.OOM_KILL
    return splat


def test_splat_line_of_an_oom_kill() -> None:
    splat = replace(splat_of(*LOG), when="in case always")
    title = "OOM kill of anon, asked by kunit_try_catch"
    assert splat_line(splat) == f"oom-kill: {title}, in case always: {TOLD}"


def test_kill_of_other_splats_is_empty() -> None:
    assert kill_of(Splat(SplatKind.WARNING, "WARNING", "\n".join(LOG), 1)) == ""
    assert kill_of(Splat(SplatKind.OOM_KILL, "OOM kill", "cut", 1)) == ""


def test_marks_oom_kill_has_the_report() -> None:
    times = [1_000_000] * len(LOG)
    (mark,) = [m for m in marks(read_log(LOG), times, 0) if m.kind == "oom-kill"]
    assert mark.text.endswith(f": {TOLD}")
    assert len(mark.text) < MAX_MARK_TEXT


def shown(tmp_path: Path, splat: Splat) -> tuple[str, list[str]]:
    """Put *splat* into a sample run; return the JUnit file and what the panel says."""
    record = make_run(tmp_path)
    first = find(record, "vmalloc-nofail-sweep", "x86_64", 2)
    result = replace(first, splats=(splat,), verdict=Verdict.FAIL)
    record = replace(record, cells=tuple(result if c is first else c for c in record.cells))
    page = read(record, tmp_path)
    assert len(page.all("script")) == 1
    said = [p.text for p in panel(page, result).all("p", class_="kill")]
    return write_junit(record, tmp_path).read_text(encoding="utf-8"), said


def test_page_and_junit_have_the_oom_report(tmp_path: Path) -> None:
    junit, said = shown(tmp_path, splat_of(*LOG))
    assert said == [TOLD]
    assert TOLD in junit


def test_page_oom_report_of_a_hostile_guest_is_escaped(tmp_path: Path) -> None:
    zone = f"DMA32 free:1kB min:2kB low:3kB {EVIL}"
    group = f"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/{EVIL},task_memcg=/,task=a,pid=7"
    usage = "memory: usage 1kB, limit 2kB, failcnt 3"
    _, said = shown(tmp_path, splat_of(LOG[1], zone, usage, group, LOG[-3]))
    (text,) = said
    assert r"/</p><script>x\x07 uses 1 of 2 KiB" in text
