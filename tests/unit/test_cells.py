# SPDX-License-Identifier: GPL-2.0-only
"""When an observation may stand for another run of the same cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.cells import CellJob
from harness.model import Cell, GuestSpec, GuestTest, Kernel, Series
from harness.qemu import argv


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


def test_where_a_kernel_lies_is_no_part_of_the_experiment(job: CellJob) -> None:
    moved = replace(job.spec, kernel=Path("/else/k"), initramfs=Path("/else/i"))
    assert replace(job, spec=moved).key == job.key


def test_a_parameter_of_the_architecture_makes_another_experiment(job: CellJob) -> None:
    arch = replace(job.spec.arch, cmdline=(*job.spec.arch.cmdline, "nohpet"))
    assert replace(job, spec=replace(job.spec, arch=arch)).key != job.key


def test_a_parameter_of_the_harness_makes_another_experiment(
    job: CellJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when ``kunit.autorun=1`` was added, and ERRORs from before it were given again."""
    before, cmdline = job.key, argv.kernel_cmdline
    monkeypatch.setattr(argv, "kernel_cmdline", lambda spec: f"{cmdline(spec)} new=1")
    assert job.key != before


def test_an_argument_of_qemu_makes_another_experiment(
    job: CellJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = job.key
    monkeypatch.setattr(argv, "SANDBOX", "on")
    assert job.key != before
