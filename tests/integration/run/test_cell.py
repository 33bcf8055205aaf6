# SPDX-License-Identifier: GPL-2.0-only
"""One cell: its verdict, and when an observation stands for another run of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.guest.capacity import Capacity
from harness.guest.template import Templates
from harness.host import process
from harness.model.errors import BuildError, Interrupted
from harness.model.jsonio import from_json
from harness.model.results import CellResult
from harness.model.values import Cell, Kernel, Patch, Series, Verdict
from harness.run.cell import OBSERVATIONS, CellJob, observe, run_cell
from harness.run.folder import RunFolder
from tests.integration.fakeqemu import TEST, fake_guest, on

PUTS = 'put = [{ agent = "ok {id}" }]\nrmmod = [{ agent = "ok {id}" }]\n'
PASSES = """
insmod = [
    { agent = "kmsg 6,{seq},2000000;    # Subtest: sweep" },
    { agent = "kmsg 6,{seq},2000001;    1..1" },
    { agent = "kmsg 6,{seq},2000002;    ok 1 - a" },
    { agent = "kmsg 6,{seq},2000003;ok 1 - sweep" },
    { agent = "end {id} exit:0 ms=3" },
]
"""
CRASHES = 'insmod = [{ stderr = "no memory" }, { exit = 1 }]\n'


class Cells:
    """One job, run as often as asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.run = RunFolder(folder / "run")
        self.look = partial(observe, guests=Templates(self.store, Capacity(1, 1)).guest)

    def job(self, verbs: str) -> CellJob:
        (module := self.folder / "m.ko").write_bytes(b"module")
        (self.folder / "test.toml").write_text("")
        none = self.folder / "none"
        return CellJob(
            cell=Cell("x86_64", "debian:5.10", 0, (), 64, "sweep", "none"),
            test=replace(TEST, folder=self.folder),
            loads=(),
            series=Series("none", "", self.folder, "5.10", (), ()),
            kernel=Kernel(
                *("x86_64", "5.10", 0, "", none, none, "", none, "", none, none),
                *("", (), 0.0, False),
            ),
            spec=replace(fake_guest(self.folder, on(PUTS + verbs)), content=""),
            module=module,
            qemu_version="fake",
        )

    def result(self, job: CellJob, *, fresh: bool = False) -> CellResult:
        return run_cell(job, self.run, self.store, self.look, fresh=fresh)

    def kept(self) -> int:
        return len(list((self.store.root / OBSERVATIONS).glob("*")))


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    return Cells(tmp_path)


def test_result_is_saved_with_its_evidence(cells: Cells) -> None:
    job = cells.job(PASSES)
    result = cells.result(job)
    assert (result.verdict, result.reused) == (Verdict.PASS, False)
    folder = cells.run.cell(job.cell)
    assert from_json(CellResult, (folder / "result.json").read_text()) == result
    assert {"console", "kmsg", "test", "argv"} <= dict(result.evidence).keys()
    assert all((cells.run.path / file).is_file() for _, file in result.evidence)


def test_same_job_again_is_judged_by_the_kept_observation(cells: Cells) -> None:
    job = cells.job(PASSES)
    first, again = cells.result(job), cells.result(job)
    assert again == replace(first, reused=True)
    assert cells.kept() == 1


def test_fresh_job_runs_again(cells: Cells) -> None:
    job = cells.job(PASSES)
    cells.result(job)
    assert not cells.result(job, fresh=True).reused


def test_job_whose_kernel_lacks_a_symbol_is_skipped_without_a_guest(cells: Cells) -> None:
    job = replace(cells.job(PASSES), lacks="load xfs needs XFS_FS")
    result = cells.result(job)
    assert (result.verdict, result.reason) == (Verdict.SKIP, "load xfs needs XFS_FS")
    assert [file.name for file in cells.run.cell(job.cell).iterdir()] == ["result.json"]


def test_job_whose_test_does_not_build_is_an_error_with_what_the_compiler_said(
    cells: Cells,
) -> None:
    said = BuildError("guest test 'sweep' does not build: m.c:1: no", detail="m.c:1: no\n  int")
    job = replace(cells.job(PASSES), broken=(said,), module=cells.folder)
    result = cells.result(job, fresh=True)
    assert (result.verdict, result.expected) == (Verdict.ERROR, Verdict.PASS)
    assert result.reason == said.what
    assert not result.as_expected
    ((label, file),) = result.evidence
    assert label == "build-errors"
    assert said.detail in (cells.run.path / file).read_text()


def test_observation_of_a_crashed_emulator_is_a_miss_and_not_kept(cells: Cells) -> None:
    result = cells.result(cells.job(CRASHES))
    assert result.verdict is Verdict.MISS
    assert cells.kept() == 0


def test_job_while_stopping_leaves_no_result(cells: Cells) -> None:
    job = cells.job(PASSES)
    with process.stop_all(), pytest.raises(Interrupted):
        cells.result(job)
    assert not (cells.run.cell(job.cell) / "result.json").exists()


def test_result_names_the_commit_of_its_position(cells: Cells) -> None:
    job = cells.job(PASSES)
    patches = tuple(Patch(n, cells.folder, "", "", (), commit=f"{n}" * 40) for n in (1, 2))
    series = replace(job.series, patches=patches)
    found = [
        cells.result(replace(job, series=series, cell=replace(job.cell, position=n))).commit
        for n in (0, 1, 2)
    ]
    assert found == ["", "1" * 40, "2" * 40]
