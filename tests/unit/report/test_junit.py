# SPDX-License-Identifier: GPL-2.0-only
"""JUnit XML: what a CI is told, and that no guest can break it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.results import CaseResult, CellResult, RunRecord, Splat
from harness.model.values import SplatKind, Verdict
from harness.report import write_junit
from harness.report.junit import CALM_LOG_LIMIT, WHOLE
from tests.unit.sample_run import ARCHS, POSITIONS, find, make_run


def parse(record: RunRecord, folder: Path) -> ET.Element:
    return ET.parse(write_junit(record, folder)).getroot()


def cases(root: ET.Element, class_name: str) -> dict[str, ET.Element]:
    """Return the test cases of one cell by name."""
    return {
        case.attrib["name"]: case
        for case in root.iter("testcase")
        if case.attrib["classname"] == class_name
    }


def whole(record: RunRecord, result: CellResult, folder: Path) -> ET.Element:
    """Return the test case that stands for *result*, put into *record* as its only cell."""
    root = parse(replace(record, cells=(result,)), folder)
    return next(case for case in root.iter("testcase") if case.attrib["name"] == WHOLE)


def outcome(case: ET.Element) -> list[str]:
    return [child.tag for child in case if child.tag != "system-out"]


def said(case: ET.Element) -> str:
    return case.findtext("system-out") or ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample run's folder, of which only ``junit.xml`` is written again and again."""
    return tmp_path_factory.mktemp("junit") / "run"


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return make_run(folder)


@pytest.fixture
def proven(record: RunRecord) -> CellResult:
    """A cell before its patch: FAIL, as expected."""
    return find(record, "vmalloc-scope", "arm64", 0)


@pytest.fixture
def passing(record: RunRecord) -> CellResult:
    return find(record, "vmalloc-scope", "arm64", 1)


def test_a_suite_for_each_architecture_and_position(record: RunRecord, folder: Path) -> None:
    root = parse(record, folder)

    names = {suite.attrib["name"] for suite in root.iter("testsuite")}
    assert names == {f"vmalloc-nofail.{arch}.p{n}" for arch in ARCHS for n in POSITIONS}
    entries = len(record.cells) + sum(len(result.cases) for result in record.cells)
    assert int(root.attrib["tests"]) == entries == len(list(root.iter("testcase")))


def test_class_names_are_flat_and_tell_every_cell_apart(record: RunRecord, folder: Path) -> None:
    root = parse(record, folder)

    wholes = [c.attrib["classname"] for c in root.iter("testcase") if c.attrib["name"] == WHOLE]
    assert len(set(wholes)) == len(record.cells)
    assert "vmalloc-nofail.x86_64.p2.debian-5_10.128M.vmalloc-scope.anon" in wholes
    shape = re.compile(r"vmalloc-nofail\.\w+\.p\d\.debian-5_10\.128M\.[\w-]+(\.anon)?")
    assert all(shape.fullmatch(name) for name in wholes)


def test_run_as_expected_has_neither_failure_nor_error(tmp_path: Path) -> None:
    root = parse(make_run(tmp_path, differences=False), tmp_path)

    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "0")
    assert not [*root.iter("failure"), *root.iter("error"), *root.iter("skipped")]


def test_junit_expected_failure_passes(record: RunRecord, folder: Path) -> None:
    root = parse(record, folder)

    cell = cases(root, "vmalloc-nofail.arm64.p0.debian-5_10.128M.vmalloc-scope")
    assert outcome(cell[WHOLE]) == outcome(cell["nofs_page_tables"]) == []
    assert said(cell[WHOLE]).startswith("verdict: FAIL, as expected\n")
    assert said(cell["nofs_page_tables"]).startswith("verdict: FAIL, as expected\n")
    assert "page table allocated" in said(cell["nofs_page_tables"])
    assert "page table allocated" not in said(cell["scope_is_restored"])
    suite = next(s for s in root.iter("testsuite") if s.attrib["name"] == "vmalloc-nofail.arm64.p0")
    facts = {p.attrib["name"]: p.attrib["value"] for p in suite.iter("property")}
    assert facts["expected_FAIL"] == "6"
    assert facts["as_expected"] == "8 of 8"
    assert facts["tree"] == "5.10.262"


def test_junit_unexpected_failure(record: RunRecord, folder: Path) -> None:
    root = parse(record, folder)

    cell = cases(root, "vmalloc-nofail.x86_64.p3.debian-5_10.128M.vmalloc-hygiene.anon")
    assert {name for name, case in cell.items() if outcome(case)} == {WHOLE, "no_leak"}
    failure = cell[WHOLE].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("FAIL, expected PASS: case no_leak failed")
    assert failure.attrib["type"] == "FAIL"
    assert root.attrib["failures"] == "2"
    # the guest's own words come with it: what the kernel logged, and its console
    assert "splat: warning: WARNING at mm/vmalloc.c:2247" in said(cell[WHOLE])
    assert "boot message number 399" in said(cell[WHOLE])
    assert "# Subtest: vmalloc-hygiene" in said(cell[WHOLE])


def test_test_that_does_not_prove_its_patch_is_a_failure(
    record: RunRecord, proven: CellResult, folder: Path
) -> None:
    case = whole(record, replace(proven, verdict=Verdict.PASS, cases=()), folder)

    assert outcome(case) == ["failure"]
    assert case[0].attrib["message"].startswith("PASS, expected FAIL")


@pytest.mark.parametrize("verdict", [Verdict.MISS, Verdict.ERROR])
def test_junit_error_and_miss_are_errors(
    record: RunRecord, passing: CellResult, folder: Path, verdict: Verdict
) -> None:
    reason = "QEMU ended with status 1"
    case = whole(record, replace(passing, verdict=verdict, reason=reason, cases=()), folder)

    assert outcome(case) == ["error"]
    assert case[0].attrib["type"] == verdict.value
    assert reason in case[0].attrib["message"]


def test_crash_is_an_error(record: RunRecord, passing: CellResult, folder: Path) -> None:
    panic = Splat(SplatKind.PANIC, "Kernel panic - not syncing: oops", "...", 1)

    case = whole(record, replace(passing, verdict=Verdict.FAIL, splats=(panic,)), folder)

    assert outcome(case) == ["error"]
    assert case[0].attrib["type"] == "crash"


def test_crash_that_is_expected_passes(record: RunRecord, proven: CellResult, folder: Path) -> None:
    panic = Splat(SplatKind.PANIC, "Kernel panic - not syncing: oops", "...", 1)

    assert outcome(whole(record, replace(proven, splats=(panic,)), folder)) == []


def test_junit_right_verdict_with_an_anomaly_is_a_failure(
    record: RunRecord, proven: CellResult, folder: Path
) -> None:
    odd = replace(proven, anomalies=("WARNING at mm/slub.c",), reason="WARNING at mm/slub.c")

    case = whole(record, odd, folder)

    assert outcome(case) == ["failure"]
    assert "WARNING at mm/slub.c" in case[0].attrib["message"]


def test_skip(record: RunRecord, passing: CellResult, folder: Path) -> None:
    asked = (CaseResult("a", Verdict.SKIP, Verdict.SKIP, diagnostics=("no swap here",)),)
    fine = replace(passing, verdict=Verdict.SKIP, expected=Verdict.SKIP, cases=asked)
    root = parse(replace(record, cells=(fine,)), folder)

    assert [outcome(case) for case in root.iter("testcase")] == [["skipped"], ["skipped"]]
    assert [e.attrib["message"] for e in root.iter("skipped")][1] == "no swap here"
    # a test that was to prove something and skipped itself has proven nothing
    assert outcome(whole(record, replace(fine, expected=Verdict.FAIL), folder)) == ["failure"]


def test_nothing_a_guest_prints_breaks_the_file(record: RunRecord, folder: Path) -> None:
    root = parse(record, folder)

    cell = cases(root, "vmalloc-nofail.x86_64.p2.debian-5_10.128M.vmalloc-nofail-sweep")
    text = said(cell["sweep_4k"])
    assert r"\x1b[2J\x1b[31mred" in text  # to be seen, not to be obeyed
    assert r"\x00nul" in text
    assert r"\u202e turned round" in text
    assert r"\ufffe" in text
    assert "</pre></script>" in text
    assert "]]> &amp; {{ 7*7 }}" in text
    raw = (folder / "junit.xml").read_bytes()
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", raw)
    assert b"\r" not in raw


def test_logs_are_bounded_and_name_their_file(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    result = find(record, "vmalloc-scope", "x86_64", 2)
    name = f"cells/{result.cell.id}/test.log"
    lines = [f"line {n} of a log that is far too long" for n in range(100_000)]
    (tmp_path / name).write_text("\n".join(lines))

    calm = said(whole(record, result, tmp_path))
    odd = said(whole(record, replace(result, verdict=Verdict.FAIL), tmp_path))

    assert lines[0] in calm
    assert lines[-1] in calm
    assert lines[50_000] not in calm
    assert re.search(r"\[\d+ bytes left out\]", calm)
    assert name in calm
    assert len(calm) < 2 * CALM_LOG_LIMIT < len(odd) < 300_000


def test_junit_diagnostics_are_bounded(
    record: RunRecord, passing: CellResult, folder: Path
) -> None:
    case = CaseResult("a", Verdict.PASS, diagnostics=tuple("x" * 100 for _ in range(10_000)))
    root = parse(replace(record, cells=(replace(passing, cases=(case,)),)), folder)

    assert len(said(list(root.iter("testcase"))[1])) < 2 * CALM_LOG_LIMIT


def test_junit_stopped_run_is_an_error(record: RunRecord, folder: Path) -> None:
    stopped = replace(record, cells=(), finished=False, error="interrupted")

    root = parse(stopped, folder)

    assert root.attrib["errors"] == "1"
    assert [e.attrib["message"] for e in root.iter("error")] == ["interrupted"]


def test_junit_missing_evidence_is_skipped(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    for file in (tmp_path / "cells").rglob("*.log"):
        file.unlink()

    assert len(list(parse(record, tmp_path).iter("testsuite"))) == 10


def test_junit_failure_says_how_to_run_it_again(record: RunRecord, folder: Path) -> None:
    result = find(record, "vmalloc-hygiene", "x86_64", 3, "anon")
    failure = whole(record, result, folder).find("failure")
    assert failure is not None
    text = failure.text or ""
    assert "no_leak: vmalloc-hygiene.c:118: 12 vmalloc pages more than before" in text
    assert "run it again: harness run --series vmalloc-nofail --base debian:5.10 --arch" in text
    assert "a shell in its guest: harness shell --series vmalloc-nofail" in text
    assert "harness" not in failure.attrib["message"]


def test_class_names_of_two_ranges_of_a_repository_are_the_same(
    record: RunRecord, folder: Path
) -> None:
    def names(span: str, version: str) -> set[str]:
        base = f"git:/home/me/linux#{span.partition('..')[0]}"
        plan = replace(record.plan, series=f"git:/home/me/linux#{span}", base=base)
        cells = tuple(replace(r, cell=replace(r.cell, base=base)) for r in record.cells[:4])
        ranged = replace(record, plan=plan, cells=cells, series_name="git-linux")
        root = parse(replace(ranged, tree_version=version), folder)
        suites = {suite.attrib["name"] for suite in root.iter("testsuite")}
        return suites | {case.attrib["classname"] for case in root.iter("testcase")}

    one = names("v6.1~5..work", "6.1.1")
    assert one == names("0123456789ab..topic/next", "6.1.2")
    assert "git-linux.x86_64.p0.git-linux.128M.vmalloc-scope" in one
    assert not any("home" in name or "work" in name or "v6" in name for name in one)


def test_class_names_of_two_series_and_two_bases_differ(record: RunRecord, folder: Path) -> None:
    def names(series: str, base: str) -> set[str]:
        plan = replace(record.plan, series=series, base=base)
        cells = tuple(replace(r, cell=replace(r.cell, base=base)) for r in record.cells[:4])
        root = parse(replace(record, plan=plan, cells=cells, series_name=series), folder)
        return {case.attrib["classname"] for case in root.iter("testcase")}

    first = names("one", "git:/src/linux#v6.1")
    assert not first & names("two", "git:/src/linux#v6.1")
    assert not first & names("one", "git:/src/linux#v6.12")
