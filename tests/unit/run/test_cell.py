# SPDX-License-Identifier: GPL-2.0-only
"""When an observation may stand for another run of the same cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.cache.store import Store
from harness.guest.qemu import argv
from harness.model.errors import BuildError
from harness.model.values import Cell, GuestSpec, GuestTest, Kernel, Load, Plan, Series, SourceTree
from harness.run.artifacts import GuestArtifacts
from harness.run.cell import CellJob, cell_job
from harness.run.prepare import ResolvedPlan
from harness.run.symbolize import DebugSource


@pytest.fixture
def job(tmp_path: Path) -> CellJob:
    (tmp_path / "test.toml").write_text("summary = ''\n")
    (module := tmp_path / "m.ko").write_bytes(b"module")
    k = tmp_path / "k"
    kernel = Kernel("x86_64", "5.10", 0, "", k, k, "", k, "", k, k, "", (), 0.0, False)
    return CellJob(
        cell=Cell("x86_64", "debian:5.10", 0, (), 96, "none", "none"),
        test=GuestTest("none", tmp_path, "", module="m", suite="none"),
        loads=(),
        series=Series("none", "", tmp_path, "5.10", (), ()),
        kernel=kernel,
        spec=GuestSpec(load_arch("x86_64"), k, k, 96, content="kernel and initramfs"),
        module=module,
        qemu_version="7.2",
    )


def test_job_key_ignores_paths_of_kernel_and_initramfs(job: CellJob) -> None:
    moved = replace(job.spec, kernel=Path("/else/k"), initramfs=Path("/else/i"))
    assert replace(job, spec=moved).key == job.key


def test_job_key_changes_with_architecture_cmdline(job: CellJob) -> None:
    arch = replace(job.spec.arch, cmdline=(*job.spec.arch.cmdline, "nohpet"))
    assert replace(job, spec=replace(job.spec, arch=arch)).key != job.key


def test_job_key_changes_with_harness_cmdline(
    job: CellJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when ``kunit.autorun=1`` was added, and ERRORs from before it were given again."""
    before, cmdline = job.key, argv.kernel_cmdline
    monkeypatch.setattr(argv, "kernel_cmdline", lambda spec: f"{cmdline(spec)} new=1")
    assert job.key != before


def test_job_key_changes_with_qemu_argument(job: CellJob, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job.key
    monkeypatch.setattr(argv, "SANDBOX", "on")
    assert job.key != before


def test_cell_job_sizes_scratch_disks_by_ram(
    job: CellJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.cell.qemu_version", lambda _: "7.2")
    (tmp_path / "k").write_text("CONFIG_MODULES=y\n")
    arch, tree = job.spec.arch, SourceTree("dir:toy", "5.10", "toy", "digest", tmp_path)
    grows = Load("grows", tmp_path, "", disk_mib=512, disk_times_ram=3)
    loads = (Load("none-of-its-own", tmp_path, ""), grows, Load("fixed", tmp_path, "", disk_mib=8))
    test = replace(job.test, disk_mib=4)
    ready = ResolvedPlan(Plan(), tree, job.series, (arch,), (0,), (test,), loads)
    debug = DebugSource(job.kernel, arch, tree, job.series, tmp_path, Store(tmp_path))
    programs = {load.name: tmp_path / load.name for load in loads}
    bench = GuestArtifacts(
        job.kernel, tmp_path / "i", tmp_path, debug, {test.name: job.module}, programs
    )
    combination = "+".join(programs)
    sizes = {
        ram: cell_job(
            ready, arch, bench, replace(job.cell, ram_mib=ram, load=combination), "tcg"
        ).spec.disks_mib
        for ram in (64, 1024)
    }
    assert sizes == {64: (4, 512, 8), 1024: (4, 3072, 8)}


def test_cell_job_of_what_does_not_build_says_why(
    job: CellJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.cell.qemu_version", lambda _: "7.2")
    (tmp_path / "k").write_text("CONFIG_MODULES=y\n")
    arch, tree = job.spec.arch, SourceTree("dir:toy", "5.10", "toy", "digest", tmp_path)
    loads = tuple(Load(name, tmp_path / name, "") for name in ("good", "bad"))
    ready = ResolvedPlan(Plan(), tree, job.series, (arch,), (0,), (job.test,), loads)
    debug = DebugSource(job.kernel, arch, tree, job.series, tmp_path, Store(tmp_path))
    programs = {"good": tmp_path / "good"}
    modules = {job.test.name: job.module}
    broken = {tmp_path / "bad": BuildError("bad"), tmp_path / "other": BuildError("other")}
    bench = GuestArtifacts(
        job.kernel, tmp_path / "i", tmp_path, debug, modules, programs, broken=broken
    )

    def reasons(load: str, bench: GuestArtifacts = bench) -> list[str]:
        made = cell_job(ready, arch, bench, replace(job.cell, load=load), "tcg")
        return [error.what for error in made.broken]

    assert reasons("none") == reasons("good") == []
    assert reasons("bad") == reasons("good+bad:50%") == ["bad"]
    lame = replace(bench, modules={}, broken={**broken, job.test.folder: BuildError("test")})
    assert reasons("good", lame) == ["test"]
    assert reasons("bad", lame) == ["test", "bad"]
