# SPDX-License-Identifier: GPL-2.0-only
"""Coverage beside the diff: the page, Markdown and the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.analysis.coverage.record import (
    CoverageRecord,
    DiffFile,
    DiffHunk,
    DiffLine,
    LineSeen,
    PatchCoverage,
    Seen,
    TestSeen,
)
from harness.model.errors import UserError
from harness.model.values import Verdict
from harness.report.analysis.coverage import markdown, print_coverage, write_coverage
from harness.report.analysis.coverage_text import headline, read_coverage
from harness.report.html.coverage import render

HOSTILE = "<script>document.title='owned'</script> | `x` \x1b[31m\u202e"

HIT = LineSeen(Seen.EXECUTED, 12345, ("sweep", HOSTILE))
MISS, BARE, GONE = LineSeen(Seen.MISSED), LineSeen(Seen.NO_CODE), LineSeen(Seen.GONE)


def record(*, missed: bool = True) -> CoverageRecord:
    lines = (
        DiffLine(" ", "int f(void)", 9, (BARE, BARE)),
        DiffLine("-", "\treturn 1;", 0),
        DiffLine("+", f"\treturn {HOSTILE};", 10, (HIT, MISS if missed else HIT)),
        DiffLine("+", "\t/* why */", 11, (BARE, BARE)),
        DiffLine("+", "\tgone();", 0, (GONE, GONE)),
    )
    code = DiffFile("mm/<b>.c", (DiffHunk(HOSTILE, lines),))
    words = (DiffLine("+", "prose", 1, (BARE, BARE)),)
    doc = DiffFile("Documentation/x.rst", (DiffHunk("", words),), "no C: there is nothing to count")
    return CoverageRecord(
        series="toy",
        series_title=HOSTILE,
        base="debian:5.10",
        tree_version="5.10.1",
        position=2,
        archs=("x86_64", "arm64"),
        patches=(PatchCoverage(1, HOSTILE, (code,)), PatchCoverage(2, "prose alone", (doc,))),
        tests=(
            TestSeen("x86_64", "sweep", Verdict.PASS, True, "3 of 3 cases passed", True, 1.0),
            TestSeen("arm64", "sweep", Verdict.PASS, True, "3 of 3 cases passed", True, 1.0),
            TestSeen("x86_64", HOSTILE, Verdict.FAIL, not missed, HOSTILE, not missed, 1.0),
        ),
    )


def printed(of: CoverageRecord) -> str:
    out = io.StringIO()
    print_coverage(Console(file=out, width=100), of, (Path("coverage.html"),))
    return out.getvalue()


def test_the_headline_counts_lines_with_code() -> None:
    assert headline(record()) == (
        "1 of 2 changed lines with a counter are missed on x86_64 and arm64"
    )
    assert headline(record(missed=False)) == (
        "all 1 changed lines with a counter are executed on x86_64 and arm64"
    )
    assert headline(replace(record(), patches=())) == "no changed line has a counter"


def test_a_missed_line_leads_to_its_place_in_the_diff() -> None:
    page = render(record())
    (anchor,) = re.findall(r'<li><a href="#(p1-[^"]+)"', page)
    (row,) = re.findall(rf'<tr class="add missed" id="{anchor}">.*?</tr>', page, re.S)
    assert "arm64: has code, and no test executed it" in row
    assert ">12k</td>" in row
    assert "x86_64: 12345 times, by sweep" in row
    assert ">a b</td>" in row  # the letters of the tests


def test_the_page_shows_nothing_missed_where_nothing_is() -> None:
    page = render(record(missed=False))
    assert 'class="add missed"' not in page
    assert "Here every test has the verdict that it has there." in page
    assert page.count('class="bar"') == 2  # the patch without code has none


def test_coverage_lists_tests_with_another_verdict() -> None:
    page = render(record())
    assert "not as on the kernel without counters" in page
    assert "its counters are lost" in page
    assert "its counters are lost" in markdown(record())
    assert "its counters are lost" in printed(record())


def test_hostile_text_stays_text() -> None:
    page = render(record())
    assert "<script" not in page
    assert "<b>.c" not in page
    for text in (page, markdown(record()), printed(record())):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_the_page_loads_nothing_and_has_no_inline_style() -> None:
    page = render(record())
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r'\sstyle="|\ssrc=|\son\w+="', page)


def test_a_link_to_the_verdicts_is_there_where_they_are(tmp_path: Path) -> None:
    write_coverage(record(), tmp_path)
    assert 'href="report.html"' not in (tmp_path / "coverage.html").read_text()
    (tmp_path / "report.html").write_text("a run's")
    write_coverage(record(), tmp_path)
    assert 'href="report.html"' in (tmp_path / "coverage.html").read_text()


def test_markdown_lists_lines_with_code_alone() -> None:
    text = markdown(record())
    rows = [line for line in text.splitlines() if line.startswith("| mm/")]
    assert len(rows) == 1
    assert rows[0].startswith("| mm/&lt;b>.c:10 |")
    assert "| 12345 | **missed** |" in rows[0]
    assert "| 1 of 1 | 0 of 1 |" in text
    assert "| 2 prose alone | no counter | no counter |" in text


def test_print_coverage_lists_missed_lines() -> None:
    text = printed(record())
    assert "missed: mm/<b>.c:10 (arm64): return" in text
    assert "1 of 2 changed lines" in text
    assert "missed" not in printed(record(missed=False))


def test_write_coverage_round_trip(tmp_path: Path) -> None:
    assert read_coverage(tmp_path) is None
    write_coverage(record(), tmp_path)
    assert read_coverage(tmp_path) == record()
    (tmp_path / "coverage.json").write_text("{}")
    with pytest.raises(UserError, match=r"coverage\.json"):
        read_coverage(tmp_path)
