# SPDX-License-Identifier: GPL-2.0-only
"""The HTML page: complete in itself, true to the record, and deaf to what guests print."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from harness.model.results import CaseResult, KernelRecord, RunRecord
from harness.model.values import Verdict
from tests.unit.html_tree import Element, pane, panel, read
from tests.unit.sample_run import TITLES, find, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample run's folder: not to be changed."""
    return tmp_path_factory.mktemp("html") / "run"


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return make_run(folder)


@pytest.fixture(scope="module")
def page(record: RunRecord, folder: Path) -> Element:
    return read(record, folder)


# ---------------------------------------------------------------- one page, complete in itself


def test_every_reference_leads_into_the_page_or_its_folder(page: Element, folder: Path) -> None:
    ids = [e.attrs["id"] for e in page.all() if "id" in e.attrs]
    assert len(ids) == len(set(ids))
    references = [e.attrs[a] for e in page.all() for a in ("href", "src") if a in e.attrs]
    assert len(references) > 500
    for reference in references:
        if reference.startswith("#"):
            assert unquote(reference[1:]) in ids
        elif not reference.startswith("data:image/svg+xml,"):
            assert not urlsplit(reference).netloc
            assert (folder / unquote(urlsplit(reference).path)).is_file()


def test_page_loads_nothing(page: Element) -> None:
    tags = {e.tag for e in page.all()}
    assert not tags & {"img", "iframe", "object", "embed", "base", "form", "video", "audio"}
    css = "".join(e.text for e in page.all("style"))
    assert "url(" not in css
    assert "@import" not in css


def test_policy_admits_style_and_script_of_the_page_alone(page: Element) -> None:
    (policy,) = (e for e in page.all("meta") if "http-equiv" in e.attrs)
    allowed = set(re.findall(r"'sha256-[^']+'", policy.attrs["content"]))
    inline = [*page.all("style"), *page.all("script")]
    digests = {hashlib.sha256("".join(e.pieces).encode()).digest() for e in inline}
    assert allowed == {f"'sha256-{base64.b64encode(d).decode()}'" for d in digests}
    assert len(inline) == 2
    assert policy.attrs["content"].startswith("default-src 'none'; ")
    assert "unsafe" not in policy.attrs["content"]
    assert not [e for e in page.all() if any(a == "style" or a[:2] == "on" for a in e.attrs)]


# ---------------------------------------------------------------- what it says


def test_headline_counts_the_differences(page: Element) -> None:
    assert page.all("h1")[0].text == "2 differences"
    (box,) = page.all("section", class_="differences")
    miss, fail = box.all("li")
    assert "kvmalloc-flags + anon arm64, position 1 MISS, expected FAIL" in miss.text
    assert "QEMU ended with status 1 before the guest was ready" in miss.text
    assert "vmalloc-hygiene + anon x86_64, position 3 FAIL, expected PASS" in fail.text


def test_run_that_is_as_expected(tmp_path: Path) -> None:
    record = make_run(tmp_path, differences=False)

    page = read(record, tmp_path)

    assert page.all("h1")[0].text == "as expected"
    assert page.all("header", class_="good")
    assert not page.all(class_="differences")
    assert not page.all(class_="odd")


def test_page_many_differences_are_folded_up(record: RunRecord, tmp_path: Path) -> None:
    bad = tuple(replace(result, verdict=Verdict.ERROR) for result in record.cells)

    page = read(replace(record, cells=bad), tmp_path)

    (box,) = page.all("section", class_="differences")
    (folded,) = box.all("details")
    assert len(box.all("li")) - len(folded.all("li")) == 6
    assert folded.all("summary")[0].text == "74 more"


def test_page_patch_lists_its_changes(page: Element) -> None:
    (box,) = page.all("section", class_="patches")
    entries = [item.text for item in box.all("li")]
    assert [title in entry for title, entry in zip(TITLES, entries, strict=True)] == [True] * 4
    both = "on x86_64, arm64, with and without load"
    assert f"turns vmalloc-scope from FAIL to PASS {both}" in entries[0]
    assert f"turns vmalloc-nofail-sweep from FAIL to PASS {both}" in entries[1]
    assert "turns vmalloc-hygiene from PASS to FAIL on x86_64, under anon" in entries[2]
    (worse,) = box.all("p", class_="worse")
    assert "hygiene" in worse.text


def test_page_patch_without_changes(tmp_path: Path) -> None:
    page = read(make_run(tmp_path, differences=False), tmp_path)

    (calm,) = page.all("li", class_="calm")
    assert calm.text == f"3 {TITLES[2]} changes no verdict"


def test_matrix_has_every_cell_in_its_place(page: Element, record: RunRecord) -> None:
    (box,) = page.all("section", id="matrix")
    rows = box.all("tbody")[0].all("tr")
    heads = [[th.text for th in row.all("th")] for row in rows]
    assert heads == [
        ["vmalloc-scope", "no load"],  # a staircase: by the patch that mends them
        ["anon"],
        ["vmalloc-nofail-sweep", "no load"],
        ["anon"],
        ["kvmalloc-flags", "no load"],
        ["anon"],
        ["vmalloc-hygiene", "no load"],
        ["anon"],
    ]
    assert [th.text for th in box.all("th", class_="arch")] == ["x86_64", "arm64"]
    assert [th.text for th in box.all("th", class_="position")] == list("0123401234")
    for row, test in zip(rows[::2], [head[0] for head in heads[::2]], strict=True):
        places = [(arch, n) for arch in ("x86_64", "arm64") for n in range(5)]
        for link, (arch, n) in zip(row.all("a", class_="cell"), places, strict=True):
            result = find(record, test, arch, n)
            assert link.attrs["href"] == f"#{result.cell.id}"
            assert link.all(class_=f"v-{result.verdict.value.lower()}")
            assert link.attrs["aria-label"].startswith(f"{test}, {arch}, position {n}: ")


def test_page_verdicts_differ_in_shape_and_unexpected_ones_are_marked(page: Element) -> None:
    (box,) = page.all("section", id="matrix")
    shapes = {
        (mark.attrs["class"].split()[1], mark.all("use")[0].attrs["href"])
        for mark in box.all("span", class_="mark")
    }
    assert shapes == {("v-pass", "#g-pass"), ("v-fail", "#g-fail"), ("v-miss", "#g-miss")}
    odd = [a.attrs["aria-label"] for a in box.all("a", class_="cell") if a.all(class_="odd")]
    assert odd == [
        "kvmalloc-flags + anon, arm64, position 1: MISS, expected FAIL",
        "vmalloc-hygiene + anon, x86_64, position 3: FAIL, expected PASS",
    ]


def test_page_marks_expected_changes_of_verdicts(page: Element) -> None:
    (box,) = page.all("section", id="matrix")
    turned = [cell.all("a")[0].attrs["href"] for cell in box.all("td", class_="turned")]
    assert len(turned) == 12  # three tests × two loads × two architectures
    assert all(
        place in href
        for href in turned
        for test, place in (("scope", "/p1/"), ("sweep", "/p2/"), ("kvmalloc", "/p4/"))
        if test in href
    )


def test_page_rows_name_their_conditions(record: RunRecord, tmp_path: Path) -> None:
    small = tuple(replace(r, cell=replace(r.cell, ram_mib=96)) for r in record.cells[:8])

    page = read(replace(record, cells=(*record.cells[:8], *small)), tmp_path)

    (box,) = page.all("section", id="matrix")
    loads = [th.text for th in box.all("th", class_="load")][:4]
    assert loads == ["no load, 96 MiB", "no load, 128 MiB", "anon, 96 MiB", "anon, 128 MiB"]


# ---------------------------------------------------------------- a cell's panel


def test_page_panel_has_all_evidence_of_its_cell(page: Element, record: RunRecord) -> None:
    result = find(record, "vmalloc-hygiene", "x86_64", 3, "anon")
    box = panel(page, result)

    assert box.all("h2")[0].text == "vmalloc-hygiene + anon"
    assert f"x86_64, position 3: {TITLES[2]}" in box.text
    assert "FAIL, expected PASS: case no_leak failed: 12 vmalloc pages" in box.text
    assert "128 MiB, debian:5.10, load anon, cold boot" in box.text
    *_, leak = (body.text for body in box.all("table", class_="cases")[0].all("tbody"))
    assert leak.startswith("no_leak FAIL PASS # EXPECTATION FAILED")
    (splat,) = box.all("details", class_="splat")
    assert "open" in splat.attrs
    assert "WARNING at mm/vmalloc.c:2247 vunmap_range line 87" in splat.text
    assert "frame_11+0xb/0x80" in splat.text
    panes = [e.attrs["data-pane"] for e in box.all("section", class_="pane")]
    assert panes == ["plots", "KTAP log", "console log", "kernel log", "argv", "artifacts"]
    assert "not ok" in pane(panel(page, find(record, "vmalloc-scope", "arm64", 0)), "KTAP log").text
    assert "boot message number 399" in pane(box, "console log").text
    assert "-append 'console=ttyS0 panic=-1" in pane(box, "argv").text
    assert "0xffff-0xffff 8192 probe" in pane(box, "artifacts").text


def test_page_panel_links_to_the_same_test_elsewhere(page: Element, record: RunRecord) -> None:
    box = panel(page, find(record, "vmalloc-scope", "arm64", 2))

    links = box.all("nav")[0].all("a")
    ids = [
        find(record, "vmalloc-scope", a, n).cell.id for a in ("x86_64", "arm64") for n in range(5)
    ]
    assert [link.attrs["href"] for link in links] == [f"#{i}" for i in ids]
    (current,) = (link for link in links if "aria-current" in link.attrs)
    assert current.attrs["href"] == "#arm64/debian-5.10/p2/128M/vmalloc-scope"


def test_page_cell_without_evidence(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    result = find(record, "vmalloc-scope", "arm64", 2)
    (tmp_path / "cells" / result.cell.id / "console.log").unlink()

    box = panel(read(record, tmp_path), result)

    assert "This file is not in the run’s folder." in pane(box, "console log").text
    assert not [a for a in box.all("a") if a.attrs["href"].endswith("console.log")]


def test_page_right_verdict_with_an_anomaly_differs(record: RunRecord, tmp_path: Path) -> None:
    result = find(record, "vmalloc-scope", "arm64", 0)
    odd = replace(result, anomalies=("BUG in slub",), reason="BUG in slub")

    page = read(replace(record, cells=(odd,)), tmp_path)

    assert page.all("h1")[0].text == "1 difference"
    said = "FAIL, as expected, but more went wrong"
    assert f"{said}: BUG in slub" in panel(page, odd).text
    assert page.all("a", class_="cell")[0].attrs["title"].endswith(said)


def test_page_names_the_case_that_differs(record: RunRecord, tmp_path: Path) -> None:
    result = find(record, "vmalloc-scope", "arm64", 0)
    cases = (*result.cases, CaseResult("other", Verdict.FAIL))

    page = read(replace(record, cells=(replace(result, cases=cases),)), tmp_path)

    said = "FAIL, as expected, but case other was FAIL, expected PASS"
    assert page.all("a", class_="cell")[0].attrs["title"].endswith(said)
    (odd,) = page.all("table", class_="cases")[0].all("tbody", class_="odd")
    assert odd.text.startswith("other")


# ---------------------------------------------------------------- kernels, and runs cut short


def test_kernels(page: Element) -> None:
    (box,) = page.all("section", class_="kernels")
    rows = {row.attrs["id"]: row for row in box.all("tr") if "id" in row.attrs}
    assert len(rows) == 10
    assert next(iter(rows)) == "kernel-x86_64-p0"
    assert "gcc (Debian 12.2.0-14+deb12u1) 12.2.0" in rows["kernel-x86_64-p0"].text
    assert "base none 3 min 41 s config build log" in rows["kernel-x86_64-p0"].text
    assert "from the cache" in rows["kernel-arm64-p1"].text
    assert "unused variable 'flags'" in rows["kernel-arm64-p2"].text
    config, log = (a.attrs["href"] for a in rows["kernel-arm64-p2"].all("a"))
    assert (config, log) == ("kernels/arm64-p2/config", "kernels/arm64-p2/build.log")


def test_page_kernel_that_was_not_built_has_its_error(record: RunRecord, tmp_path: Path) -> None:
    broken = KernelRecord(
        "arm64", 1, TITLES[0], "5.10.262", "", error="make failed\nvmalloc.c:1: no"
    )

    page = read(replace(record, kernels=(broken,), cells=()), tmp_path)

    (row,) = page.all("tr", id="kernel-arm64-p1")
    (why,) = row.all("td", class_="bad")
    assert why.text.startswith("make failed")
    assert why.all("pre")[0].text == "vmalloc.c:1: no"


def test_facts_of_the_run(page: Element, record: RunRecord) -> None:
    (box,) = page.all("section", class_="run")
    facts = {div.all("dt")[0].text: div.all("dd")[0].text for div in box.all("div")}
    assert facts["Tree"] == "5.10.262 (debian:5.10)"
    assert facts["Origin of the tree"] == "linux-source-5.10 5.10.262-1"
    assert facts["Digest of the tree"] == record.tree_digest
    assert facts["Host"] == record.host
    assert facts["QEMU"].startswith("QEMU emulator version 7.2.22")
    assert facts["Started"] == "2026-11-23 11:23:55 UTC, took 12 min 14 s"


def test_run_that_was_stopped(record: RunRecord, tmp_path: Path) -> None:
    some = [r for r in record.cells if r.as_expected and r.cell.position < 2][:20]
    page = read(replace(record, cells=tuple(some), finished=False, error="interrupted"), tmp_path)

    assert page.all("h1")[0].text == "stopped before the end; as expected so far"
    assert page.all("header", class_="bad")
    assert page.all("p", class_="trouble")[0].text == "interrupted"
    assert len(page.all("a", class_="cell")) == 20
    assert page.all(class_="none")  # places that the run did not get to


def test_page_of_an_unpatched_kernel(record: RunRecord, tmp_path: Path) -> None:
    plan = replace(record.plan, series="none", positions=(0,))
    cells = tuple(r for r in record.cells if r.cell.position == 0)
    title = "linux-source-6.12 6.12.118-1, as it is"
    page = read(
        replace(
            record,
            plan=plan,
            cells=cells,
            patch_titles=(),
            series_title=title,
            tree_version="6.12.118",
        ),
        tmp_path,
    )

    assert page.all("title")[0].text.endswith(": Linux 6.12.118 as it is")
    assert page.all("p", class_="series")[0].text == title
    facts = page.all("p", class_="facts")[0].text
    assert "no patch applied: every case must pass" in facts
    assert not page.all(class_="position")  # one column each, which needs no number
    assert len(page.all("a", class_="cell")) == len(cells)
    assert not page.all("section", class_="patches")


def test_run_without_any_verdict(record: RunRecord, tmp_path: Path) -> None:
    page = read(replace(record, cells=(), kernels=(), patch_titles=()), tmp_path)

    assert page.all("h1")[0].text == "no verdicts"
    assert page.all("header", class_="bad")
    assert "This run has no verdicts." in page.text


def test_page_long_diagnostics_of_a_passed_case_are_folded_up(
    record: RunRecord, folder: Path
) -> None:
    good = find(record, "vmalloc-scope", "x86_64", 4)
    long = tuple(f"line {n}" for n in range(50))
    bad = CaseResult("bad", Verdict.FAIL, diagnostics=long)
    cases = (replace(good.cases[0], diagnostics=long), bad)
    page = read(replace(record, cells=(replace(good, cases=cases),)), folder)
    first, second = panel(page, good).all("tr", class_="printed")
    assert [e.text for e in first.all("summary")] == ["50 lines of diagnostics"]
    assert second.all("summary") == []
    assert "line 49" in first.text
    assert "line 49" in second.text
