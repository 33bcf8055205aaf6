# SPDX-License-Identifier: GPL-2.0-only
"""Cells of a kernel that does not come up: one judgement, kept if the kernel is to blame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.guest import BootFailure, Guest
from harness.guest.qemu.accel import ProbeResult
from harness.model.results import BootDeath, CellResult, Death, Stop
from harness.model.values import GuestSpec, Verdict
from harness.run import boots
from harness.run.cell import OBSERVATIONS
from harness.run.folder import RunFolder
from harness.run.lab import Lab
from tests.integration.run.test_cell import PASSES, Cells
from tests.integration.run.test_lab import toy_lab

HALTED = BootDeath(Death.HALTED, "halted in sort_r", again=True, console=("last words",))


class Dead:
    """A lab whose guests die at boot."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, probe: str = "") -> None:
        self.lab: Lab = toy_lab(folder, monkeypatch)
        self.run = RunFolder(folder / "run")
        self.booted = 0
        monkeypatch.setattr(boots, "probe_now", lambda *_: ProbeResult(not probe, probe, 0.1))
        monkeypatch.setattr(self.lab.boots, "guest", self._guest)
        self.job = Cells(folder).job(PASSES)

    @contextlib.contextmanager
    def _guest(self, _: GuestSpec, __: Path) -> Iterator[Guest]:
        self.booted += 1
        raise BootFailure(HALTED)
        yield

    def result(self) -> CellResult:
        return self.lab.run(self.job, self.run)

    def kept(self) -> int:
        return len(list((self.lab.workspace.store.root / OBSERVATIONS).glob("*")))


def test_cell_of_a_kernel_that_does_not_boot_fails_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Dead(tmp_path, monkeypatch)
    result = dead.result()
    assert (result.verdict, result.as_expected) == (Verdict.FAIL, False)
    assert result.reason == "does not boot: halted in sort_r"
    assert result.fault is not None
    assert result.fault.stage is Stop.BOOT
    assert "last words" in result.fault.detail
    assert dead.kept() == 1
    again = dead.result()
    assert (again.verdict, again.fault, again.reused) == (result.verdict, result.fault, True)
    assert dead.booted == 1


def test_cell_on_a_host_that_runs_no_guest_is_missed_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Dead(tmp_path, monkeypatch, probe="it never finished")
    result = dead.result()
    assert (result.verdict, result.fault) == (Verdict.MISS, None)
    assert "it never finished" in result.reason
    assert dead.kept() == 0
    dead.result()
    assert dead.booted == 2


def test_kernel_that_comes_up_clears_the_host_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Dead(tmp_path, monkeypatch, probe="it never finished")
    dead.lab.boots.came_up(replace(dead.job.spec, content="another"), "position 0")
    result = dead.result()
    assert result.fault is not None
    assert "position 0 came up" in result.fault.grounds
