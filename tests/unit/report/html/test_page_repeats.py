# SPDX-License-Identifier: GPL-2.0-only
"""Cells that were run more than once, as the HTML page and JUnit show them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.results import CellResult, RunRecord
from harness.model.values import Verdict
from harness.report import write_junit
from tests.unit.html_tree import Element, panel, read
from tests.unit.sample_run import find, make_run

RUNS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repeats") / "run"


def again(result: CellResult, number: int) -> CellResult:
    return replace(result, cell=replace(result.cell, repeat=number))


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    """Two cells, each run 20 times: one agrees with itself, one fails in its 8th run."""
    sample = make_run(folder, differences=False)
    steady = find(sample, "kvmalloc-flags", "arm64", 4)
    shaky = find(sample, "vmalloc-scope", "x86_64", 4)
    runs = [again(cell, n) for n in range(RUNS) for cell in (steady, shaky)]
    runs[15] = replace(runs[15], verdict=Verdict.FAIL, reason="once in a while")
    return replace(sample, cells=tuple(runs))


@pytest.fixture(scope="module")
def page(record: RunRecord, folder: Path) -> Element:
    return read(record, folder)


def test_page_repeats_flaky_cells_come_first(page: Element) -> None:
    (section,) = page.all("section", class_="repeats")
    shaky, steady = ([cell.text for cell in row.children] for row in section.all("tr")[1:])
    assert shaky[:5] == ["vmalloc-scope", "x86_64", "4", "19 of 20", "76.4 %"]
    assert shaky[-1] == "FLAKY 1 FAIL, 19 PASS"
    assert steady[:5] == ["kvmalloc-flags", "arm64", "4", "20 of 20", "83.9 %"]
    assert steady[-1] == "20 PASS"


def test_page_panels_of_telling_runs_only(page: Element, record: RunRecord) -> None:
    panels = {e.attrs["id"] for e in page.all("section", class_="panel")}
    steady, shaky, odd = record.cells[0], record.cells[1], record.cells[15]
    assert panels == {steady.cell.id, shaky.cell.id, odd.cell.id}


def test_page_panel_links_to_other_runs_of_its_cell(page: Element, record: RunRecord) -> None:
    (runs,) = panel(page, record.cells[15]).all("div", class_="runs")
    assert "19 of 20 as expected, 95 %: 76.4% to 99.1%; FLAKY: 1 FAIL, 19 PASS" in runs.text
    assert "18 more like the first are in run.json" in runs.text
    first, eighth = runs.all("a")
    assert (first.text, eighth.text) == ("run 1", "run 8")
    assert first.attrs["href"] == f"#{record.cells[1].cell.id}"


def test_page_panel_shows_its_own_run(page: Element, record: RunRecord) -> None:
    assert "once in a while" in panel(page, record.cells[15]).text
    assert "once in a while" not in panel(page, record.cells[1]).text


def test_page_cell_without_repeats_has_no_rate(tmp_path: Path) -> None:
    page = read(make_run(tmp_path / "run"), tmp_path / "run")
    assert page.all("section", class_="repeats") == []
    assert page.all("div", class_="runs") == []


def test_junit_has_each_run_and_fails_flaky_cells(record: RunRecord, folder: Path) -> None:
    root = ET.parse(write_junit(record, folder)).getroot()
    cases = list(root.iter("testcase"))
    names = [(case.attrib["classname"], case.attrib["name"]) for case in cases]
    assert len(names) == len(set(names))
    assert sum(name == "(whole test)" for _, name in names) == 2 * RUNS
    totals = {c.attrib["classname"]: c for c in cases if c.attrib["name"] == "(all runs)"}
    steady = totals["vmalloc-nofail.arm64.p4.debian-5_10.128M.kvmalloc-flags"]
    assert steady.find("failure") is None
    assert "20 of 20 as expected, 95 %: 83.9% to 100.0%" in (steady.findtext("system-out") or "")
    failure = totals["vmalloc-nofail.x86_64.p4.debian-5_10.128M.vmalloc-scope"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "FLAKY"
    assert "FLAKY: 1 FAIL, 19 PASS" in failure.attrib["message"]
