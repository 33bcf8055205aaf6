# SPDX-License-Identifier: GPL-2.0-only
"""Splats provoked in real guests are named, and lead to the case and the line that caused them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.cache.store import Store
from harness.guest.capacity import Capacity
from harness.guest.template import Templates
from harness.host.paths import Checkout
from harness.model.results import CellResult
from harness.model.values import Plan, SplatKind, Verdict
from harness.run.artifacts import guest_artifacts, make_kernel
from harness.run.cell import CellJob, cell_job, observe, run_cell
from harness.run.folder import RunFolder
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from harness.verdict.symbols import blamed
from tests.qemu.conftest import ROOT

POSITION = 4
AFTER = "after"  # the last case of the provoking suite
PROVOKE = Path(__file__).parent / "provoke"
SOURCE = (PROVOKE / "provoke.c").read_text(encoding="utf-8").splitlines()
KINDS = {
    "null_pointer": SplatKind.OOPS,
    "bug": SplatKind.BUG,
    "warning": SplatKind.WARNING,
    "hung_task": SplatKind.HUNG_TASK,
    "soft_lockup": SplatKind.LOCKUP,
    "rcu_stall": SplatKind.RCU_STALL,
    "oom_kill": SplatKind.OOM_KILL,
    "page_allocation": SplatKind.ALLOC_FAILURE,
    "vmalloc_failure": SplatKind.ALLOC_FAILURE,
}
# Thresholds as low as the kernel takes them.
KNOBS = {
    "hung_task": (
        ("/proc/sys/kernel/hung_task_timeout_secs", "1"),
        ("/proc/sys/kernel/hung_task_check_interval_secs", "1"),
    ),
    "soft_lockup": (("/proc/sys/kernel/watchdog_thresh", "1"),),
    "rcu_stall": (
        ("/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout", "3"),
        ("/proc/sys/kernel/soft_watchdog", "0"),
    ),
}
CPUS = {"rcu_stall": 2}


DEBUG = ("debug-vm", "kmemleak", "lockdep")
SANITIZED = {
    (DEBUG, "lock_inversion"): SplatKind.LOCKDEP,
    (DEBUG, "reclaim_inversion"): SplatKind.LOCKDEP,
    (DEBUG, "leak"): SplatKind.LEAK,
    (("kasan",), "use_after_free"): SplatKind.KASAN,
    (("kasan",), "beyond_vmalloc"): SplatKind.KASAN,
}

Provoking = tuple[CellJob, Templates]


@pytest.fixture(scope="module")
def provoking(
    request: pytest.FixtureRequest, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Provoking:
    """A cell of one architecture and config, where the only guest test is the provoking one."""
    name, config = request.param
    root = tmp_path_factory.mktemp("checkout")
    (root / "guest-tests" / "tests").mkdir(parents=True)
    for shared in ("kconfigs", "patches", "guest-tests/include", "guest-tests/init"):
        (root / shared).symlink_to(ROOT / shared)
    (root / "guest-tests" / "loads").mkdir()
    shutil.copytree(PROVOKE, root / "guest-tests" / "tests" / "provoke")
    own = replace(workspace, checkout=Checkout(root))
    templates = Templates(own.store, Capacity(1, 2), own.report)
    plan = Plan(arch=(name,), positions=(POSITION,), loads=("none",), config=config)
    ready = prepare(plan, own)
    (arch,) = ready.archs
    bench = guest_artifacts(ready, arch, make_kernel(ready, arch, POSITION, own), own)
    (cell,) = ready.cells(arch, POSITION)
    return cell_job(ready, arch, bench, cell, "tcg"), templates


def provoke(provoking: Provoking, kind: str, tmp_path: Path) -> CellResult:
    """Run the case *kind* and return what became of it."""
    job, templates = provoking
    test = replace(job.test, params=(f"kind={kind}",), knobs=KNOBS.get(kind, ()))
    job = replace(job, test=test, spec=replace(job.spec, cpus=CPUS.get(kind, 1)))
    run = RunFolder(tmp_path / "run")
    look = partial(observe, guests=templates.guest)
    return run_cell(job, run, Store(tmp_path / "store"), look, fresh=True)


PLAIN = [(name, ()) for name in arch_names()]


@pytest.mark.parametrize("provoking", PLAIN, indirect=True, ids=arch_names())
@pytest.mark.parametrize("kind", KINDS)
def test_a_splat_is_named_and_leads_to_case_and_line(
    provoking: Provoking, kind: str, tmp_path: Path
) -> None:
    result = provoke(provoking, kind, tmp_path)
    assert {splat.kind for splat in result.splats} == {KINDS[kind]}
    assert {splat.case for splat in result.splats} == {kind}
    frames = [frame for splat in result.splats for frame in splat.frames]
    # A task that waits stands in the scheduler.
    blames = [f for f in map(blamed, result.splats) if f] if kind != "hung_task" else frames
    at = {f"{p.file}:{p.line}" for frame in blames for p in frame.places}
    marked = [n for n, line in enumerate(SOURCE, 1) if f"/* here: {kind} */" in line]
    if marked:
        assert f"provoke/provoke.c:{marked[0]}" in at
    else:  # a loop: any of its lines
        start = next(n for n, line in enumerate(SOURCE, 1) if f"void {kind}(" in line)
        own = [p.line for f in blames for p in f.places if p.file == "provoke/provoke.c"]
        assert own
        assert start < own[0] < start + 12
    # The kernel's own frames are decoded as well.
    kernels = [p.file for frame in frames if not frame.module for p in frame.places]
    assert any(re.fullmatch(r"(?:lib/kunit|kernel|mm)/[\w/.-]+\.[ch]", file) for file in kernels)


@pytest.mark.parametrize("provoking", PLAIN, indirect=True, ids=arch_names())
def test_what_the_log_has_no_room_for_is_read_from_the_console(
    provoking: Provoking, tmp_path: Path
) -> None:
    result = provoke(provoking, "overrun", tmp_path)
    assert (result.verdict, result.as_expected) == (Verdict.PASS, True), result.reason
    assert result.found_records > 1000
    lost = f"{result.found_records} kernel log records were lost, and read from the console"
    assert result.reason == f"3 of 3 cases passed; {lost}"

    result = provoke(provoking, "drowned_warning", tmp_path)
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith("WARNING in drowned_warning (provoke/provoke.c); ")
    assert result.reason.endswith(" kernel log records were lost, and read from the console")
    assert [splat.case for splat in result.splats] == ["drowned_warning"]
    (line,) = (n for n, text in enumerate(SOURCE, 1) if "/* here: drowned_warning */" in text)
    places = [p for frame in result.splats[0].frames for p in frame.places]
    assert ("provoke/provoke.c", line) in {(place.file, place.line) for place in places}


@pytest.mark.slow("kernels that check themselves: lockdep and kmemleak, KASAN", minutes=40)
@pytest.mark.parametrize(
    ("provoking", "kind"),
    [((name, config), kind) for name in arch_names() for config, kind in SANITIZED],
    indirect=["provoking"],
    ids=[f"{name}-{kind}" for name in arch_names() for _, kind in SANITIZED],
)
def test_a_kernel_that_checks_itself_names_what_is_wrong(
    provoking: Provoking, kind: str, tmp_path: Path
) -> None:
    job, _ = provoking
    if kind == "beyond_vmalloc" and "CONFIG_KASAN_VMALLOC=y" not in job.kernel.config.read_text():
        pytest.skip("this kernel's KASAN does not see vmalloc memory")
    result = provoke(provoking, kind, tmp_path)
    assert {splat.kind for splat in result.splats} == {SANITIZED[job.cell.config, kind]}
    assert result.verdict is Verdict.FAIL
    if kind == "leak":  # found when the module is gone, and its name with it
        assert {splat.when for splat in result.splats} == {f"after the last case, {AFTER}"}
        return
    assert {splat.case for splat in result.splats} == {kind}
    places = {p.file for splat in result.splats for f in splat.frames for p in f.places}
    assert "provoke/provoke.c" in places
