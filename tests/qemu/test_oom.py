# SPDX-License-Identifier: GPL-2.0-only
"""Whom the OOM killer takes, in real guests: tolerated, a failure or a fault of the harness."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.cache.store import Store
from harness.guest.capacity import Capacity
from harness.guest.guest import boot
from harness.guest.template import Templates
from harness.host.paths import Checkout
from harness.model.results import CellResult
from harness.model.values import Plan, SplatKind, Verdict
from harness.run.artifacts import guest_artifacts, make_kernel
from harness.run.cell import CellJob, Look, cell_job, observe, run_cell
from harness.run.folder import RunFolder
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from harness.verdict.oom import oom_report
from tests.qemu.conftest import ROOT

POSITION = 4
ASKED = "asked by kunit_try_catch, order 0, GFP_KERNEL, no constraint"


@dataclass(frozen=True)
class Stage:
    """Cells of one architecture, where the only guest test is that of tests/qemu/oom."""

    jobs: dict[str, CellJob]  # by load
    look: Look

    def play(self, folder: Path, *params: str, load: str = "none", own: bool = False) -> CellResult:
        """Run the test, told *params*; with *own*, kills of its own programs are tolerated."""
        job = self.jobs[load]
        tolerated_splats = (SplatKind.OOM_KILL,) if own else ()
        job = replace(job, test=replace(job.test, params=params, tolerated_splats=tolerated_splats))
        store = Store(folder / "store")
        return run_cell(job, RunFolder(folder / "run"), store, self.look, fresh=True)


@pytest.fixture(scope="module", params=arch_names())
def stage(
    request: pytest.FixtureRequest, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    root = tmp_path_factory.mktemp("checkout")
    (root / "guest-tests" / "tests").mkdir(parents=True)
    for shared in (
        "kconfigs",
        "patches",
        *(f"guest-tests/{f}" for f in ("include", "init", "loads")),
    ):
        (root / shared).symlink_to(ROOT / shared)
    shutil.copytree(Path(__file__).parent / "oom", root / "guest-tests" / "tests" / "oom")
    own = replace(workspace, checkout=Checkout(root))
    templates = Templates(own.store, Capacity(1, 2), own.report)
    plan = Plan(arch=(request.param,), positions=(POSITION,), loads=("none", "anon"))
    ready = prepare(plan, own)
    (arch,) = ready.archs
    bench = guest_artifacts(ready, arch, make_kernel(ready, arch, POSITION, own), own)
    cells = ready.cells(arch, POSITION)
    jobs = {cell.load: cell_job(ready, arch, bench, cell, "tcg") for cell in cells}
    return Stage(jobs, partial(observe, guests=templates.guest))


def test_oom_kill_of_a_load_is_tolerated(stage: Stage, tmp_path: Path) -> None:
    result = stage.play(tmp_path, load="anon")
    assert (result.verdict, result.as_expected) == (Verdict.PASS, True), result.reason
    reports = [oom_report(splat.text) for splat in result.splats]
    assert {report.victim for report in reports if report} == {"anon"}


@pytest.mark.parametrize("load", ["none", "anon"])
def test_of_a_program_of_the_test_it_is_a_failure(stage: Stage, tmp_path: Path, load: str) -> None:
    result = stage.play(tmp_path, "program=1", "victim=busybox", load=load)
    said = f"the OOM killer took a program of the test, busybox ({ASKED})"
    assert (result.verdict, result.reason) == (Verdict.FAIL, said)


def test_unless_the_test_brought_it_for_that(stage: Stage, tmp_path: Path) -> None:
    """And nothing but itself must die: the task that loads the test is the last to be taken."""
    result = stage.play(tmp_path, "program=1", own=True)
    assert (result.verdict, result.as_expected) == (Verdict.PASS, True), result.reason
    (report,) = (oom_report(splat.text) for splat in result.splats)
    assert report is not None
    assert report.victim == "busybox"


def test_of_the_task_that_loads_the_test_it_is_a_failure(stage: Stage, tmp_path: Path) -> None:
    """Nobody else is left, so that it is taken; the guest lives."""
    result = stage.play(tmp_path, own=True)
    said = f"the OOM killer took the task that loads the test, insmod ({ASKED})"
    assert (result.verdict, result.reason) == (Verdict.FAIL, f"{said}; module oom: signal 9")
    assert [case.verdict for case in result.cases] == [Verdict.PASS]


def test_of_the_guests_own_part_it_is_a_miss(stage: Stage, tmp_path: Path) -> None:
    result = stage.play(tmp_path, "victim=sampler", own=True)
    said = f"the OOM killer took the guest's own part, sampler ({ASKED})"
    assert (result.verdict, result.reason) == (Verdict.MISS, said)


def test_what_serves_the_harness_is_out_of_reach_and_what_people_run_is_not(
    stage: Stage, tmp_path: Path
) -> None:
    ask = "cat $(dirname $(grep -lx %s /proc/[0-9]*/comm))/oom_score_adj"
    with boot(stage.jobs["none"].spec, tmp_path) as guest:
        assert guest.read("/proc/self/oom_score_adj") == "-1000\n"
        assert guest.exec(("/bin/cat", "/proc/self/oom_score_adj")).lines == ("0",)
        with guest.ssh() as ssh:
            for name in ("init", "sampler", "dropbear"):
                assert ssh.run(ask % name).stdout == "-1000\n"
            done = ssh.run("echo $0 $SHELL; cat /proc/self/oom_score_adj; exit 3")
            assert (done.stdout, done.exit) == ("sh /bin/sh\n0\n", 3)
