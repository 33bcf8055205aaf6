# SPDX-License-Identifier: GPL-2.0-only
"""Figures that cases print, and what only looks like one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.model.results import CaseResult, CellResult, RunRecord
from harness.model.values import Verdict
from harness.report.measures import MAX_MEASURES, Compared, Measure, measures_of, side_by_side
from harness.report.terminal.measures import print_measures
from tests.unit.html_tree import panel, read
from tests.unit.sample_run import find, make_run


def case(*lines: str, name: str = "calls") -> CaseResult:
    return CaseResult(name, Verdict.PASS, diagnostics=lines)


def test_measures_of_reads_name_value_and_unit() -> None:
    said = case(
        "    # calls: measure: page:GFP_KERNEL|__GFP_NOFAIL:null 8 of 23 requests",
        "something else",
        "# calls: measure: held 0",
    )
    assert measures_of([said]) == (
        Measure("calls", "page:GFP_KERNEL|__GFP_NOFAIL:null", 8, "of 23 requests"),
        Measure("calls", "held", 0, ""),
    )


@pytest.mark.parametrize(
    "line",
    [
        "# calls: measure: held -1 KiB",
        "# calls: measure: held 1e3 KiB",
        "# calls: measure: held ١ KiB",
        "# calls: measure: held 1 \x1b[31mKiB",
        "# calls: measure: held " + "9" * 30,
        "# calls: measure: " + "n" * 90 + " 1 KiB",
        "# calls: measure: 1",
        "# calls: measured: held 1 KiB",
    ],
)
def test_measures_of_skips_malformed_figures(line: str) -> None:
    assert measures_of([case(line)]) == ()


def test_measures_of_are_bounded() -> None:
    many = case(*(f"# calls: measure: n{i} {i}" for i in range(2 * MAX_MEASURES)))
    found = measures_of([many, many])
    assert len(found) == MAX_MEASURES
    assert found[-1].name == f"n{MAX_MEASURES - 1}"


def test_side_by_side_lines_up_positions() -> None:
    base = [case("# calls: measure: null 12 requests", "# calls: measure: held 4 KiB")]
    patched = [case("# calls: measure: null 0 requests"), case("# x: measure: n 1", name="x")]
    rows = side_by_side([base, patched])
    assert rows == (
        Compared("calls", "null", ("12 requests", "0 requests")),
        Compared("calls", "held", ("4 KiB", "")),
        Compared("x", "n", ("", "1")),
    )
    assert side_by_side([base, base])[0].differs is False
    assert rows[0].differs


def test_side_by_side_keeps_all_values_of_a_name() -> None:
    said = case("# calls: measure: killed 19 programs", "# calls: measure: killed 0 programs")
    assert side_by_side([[said]])[0].values == ("19 programs, 0 programs",)


def said(record: RunRecord, *tests: str, width: int = 80, **console: Any) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False, **console)
    print_measures(out, record, tests)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_print_measures_figures_that_differ_are_bold(tmp_path: Path) -> None:
    sample = make_run(tmp_path / "run", differences=False)

    def measured(position: int, *lines: str) -> CellResult:
        result = find(sample, "vmalloc-scope", "arm64", position)
        cases = (replace(result.cases[0], name="a", diagnostics=lines),)
        return replace(result, cases=cases)

    cells = (
        measured(0, "# a: measure: null 12 of 23 requests", "# a: measure: held 4 KiB"),
        measured(4, "# a: measure: null 0 of 9 requests", "# a: measure: held 64 KiB"),
        find(sample, "kvmalloc-flags", "arm64", 0),
    )
    record = replace(sample, cells=cells)
    lines = said(record, "vmalloc-*")
    assert lines == [
        "",
        "vmalloc-scope on arm64",
        "patches applied                  0                4",
        "a",
        "  null           12 of 23 requests  0 of 9 requests",
        "  held                           4               64  KiB",
    ]
    assert lines == said(record, "*") == said(record, "none-such", "vmalloc-scope")
    assert said(record, "kvmalloc-*") == ["no test that matches 'kvmalloc-*' printed a figure"]
    assert "".join(said(record, "*", width=24)).count("KiB") == 1


def test_page_measures_mark_figures_that_differ(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    sample = make_run(folder, differences=False)

    def measured(position: int, held: int) -> CellResult:
        result = find(sample, "vmalloc-scope", "arm64", position)
        lines = (f"# a: measure: held {held} KiB", "# a: measure: threads 4")
        return replace(result, cases=(replace(result.cases[0], name="a", diagnostics=lines),))

    last = measured(4, 96)
    page = read(replace(sample, cells=(measured(0, 12), last)), folder)
    (table,) = panel(page, last).all("details", class_="measures")
    rows = [[cell.text for cell in row.children] for row in table.all("tr")]
    assert rows == [
        ["Figure", "0", "4"],
        ["a"],
        ["held", "12 KiB", "96 KiB"],
        ["threads", "4", "4"],
    ]
    assert [row.children[0].text for row in table.all("tr", class_="differs")] == ["held"]
