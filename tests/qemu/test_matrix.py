# SPDX-License-Identifier: GPL-2.0-only
"""The flagship run, end to end: every position, both architectures, judged and reported."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.arch import arch_names
from harness.model.results import RunRecord
from harness.model.values import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import Harness


def test_every_cell_has_the_verdict_that_is_declared(matrix: tuple[Path, RunRecord]) -> None:
    _, record = matrix
    assert record.finished
    assert {cell.cell.position for cell in record.cells} == set(range(5))
    assert {cell.cell.arch for cell in record.cells} == set(arch_names())
    assert [c.cell.id for c in record.cells if not c.as_expected] == []
    # Without lockdep in the kernel its suite has nothing to say.
    assert {c.verdict for c in record.cells if c.cell.test == "vmalloc-lockdep"} == {Verdict.SKIP}
    others = {c.verdict for c in record.cells if c.cell.test != "vmalloc-lockdep"}
    assert others == {Verdict.PASS, Verdict.FAIL}


@pytest.mark.parametrize(
    ("test", "patch", "loads"),
    [
        ("vmalloc-scope", 1, {"none", "anon"}),
        ("vmalloc-nofail-sweep", 2, {"none", "anon"}),
        ("vmalloc-nofail-wait", 2, {"none", "anon"}),
        ("kvmalloc-flags", 4, {"none", "anon"}),
        ("vmalloc-progress", 4, {"none"}),  # brings its own pressure
        ("oom-callers", 2, {"none"}),
    ],
)
def test_a_patch_turns_its_test_from_fail_to_pass(
    matrix: tuple[Path, RunRecord], test: str, patch: int, loads: set[str]
) -> None:
    _, record = matrix
    cells = [c for c in record.cells if c.cell.test == test]
    assert {c.cell.load for c in cells} == loads
    assert len(cells) == 5 * len(arch_names()) * len(loads)
    for result in cells:
        after = result.cell.position >= patch
        assert result.verdict is (Verdict.PASS if after else Verdict.FAIL), result.cell.id


def test_patch_3_changes_no_verdict(matrix: tuple[Path, RunRecord]) -> None:
    _, record = matrix

    def at(position: int) -> dict[tuple[str, str, str], tuple[Verdict, tuple[Verdict, ...]]]:
        return {
            (c.cell.arch, c.cell.test, c.cell.load): (
                c.verdict,
                tuple(case.verdict for case in c.cases),
            )
            for c in record.cells
            if c.cell.position == position
        }

    assert at(2) == at(3)


def test_every_cell_has_its_evidence(matrix: tuple[Path, RunRecord]) -> None:
    folder, record = matrix
    for result in record.cells:
        evidence = dict(result.evidence)
        assert {"console", "kmsg", "test", "argv"} <= set(evidence), result.cell.id
        assert all((folder / path).is_file() for path in evidence.values())
        assert result.argv
        assert result.qemu_version


def test_no_position_brings_a_compiler_warning(matrix: tuple[Path, RunRecord]) -> None:
    _, record = matrix
    assert [warning for kernel in record.kernels for warning in kernel.warnings] == []


def test_reports_stand_beside_the_record(matrix: tuple[Path, RunRecord]) -> None:
    folder, record = matrix
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert 'src="http' not in html
    assert 'href="http' not in html
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    assert len(suites.findall(".//testcase")) >= len(record.cells)
    assert suites.findall(".//failure") == []


def test_a_second_run_builds_and_boots_nothing(
    matrix: tuple[Path, RunRecord], harness: Harness, tmp_path: Path
) -> None:
    _, first = matrix
    done = harness("run", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    second = read_json(tmp_path)
    assert all(kernel.reused for kernel in second.kernels)
    assert all(cell.reused for cell in second.cells)
    assert [c.verdict for c in second.cells] == [c.verdict for c in first.cells]


def test_a_report_is_made_again_without_booting(
    matrix: tuple[Path, RunRecord], harness: Harness
) -> None:
    folder, _ = matrix
    (folder / "report.html").unlink()
    done = harness("report", str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").is_file()
