# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and guests of one plan: from the check of the host to the verdict of a cell."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from harness.guest.capacity import Capacity
from harness.guest.qemu.accel import choose_accel
from harness.guest.qemu.process import kill_all
from harness.guest.qemu.trial import require_accepted
from harness.guest.template import Templates
from harness.host import process, resources
from harness.model.events import Note
from harness.model.results import CellResult
from harness.model.values import AccelName, Arch, Cell, GuestSpec, Kernel, Plan
from harness.plan.guest_words import qemu_words
from harness.plan.plan import RAM_MIB
from harness.run.artifacts import (
    GuestArtifacts,
    boot_artifacts,
    guest_artifacts,
    guest_spec,
    make_kernel,
)
from harness.run.cell import CellJob, cell_job, run_cell
from harness.run.folder import RunFolder
from harness.run.prepare import ResolvedPlan
from harness.run.workspace import Workspace

T = TypeVar("T")


class Lab:
    """All that the cells of a plan need to run.

    A context manager: its exit waits for the work that was submitted. An exit by an exception
    (Ctrl-C and SIGTERM are one) drops work that has not begun, ends guests and builds, and leaves
    no thread behind. Unfinished work leaves nothing in the store.
    """

    def __init__(self, ready: ResolvedPlan, workspace: Workspace) -> None:
        """Choose the accelerators, and try the arguments of the user's for QEMU.

        Raises:
            InfraError: an emulator cannot be started.
            UserError: KVM was asked for by name, and does not work here, or QEMU does not take an
                argument of the user's.
        """
        self.ready = ready
        self.workspace = workspace
        self._accels = {arch.name: self._accel(arch) for arch in ready.archs}
        for arch in ready.archs:
            require_accepted(_without_kernel(ready.plan, arch, self._accels[arch.name]))
        if ready.plan.cpus > resources.cores():
            said = f"guests of {ready.plan.cpus} CPUs share {resources.cores()} cores of this host"
            workspace.report(Note(f"{said}: what they do at a time takes turns"))
        capacity = Capacity(ready.plan.jobs, ready.plan.cpus)
        self.templates = Templates(workspace.store, capacity, workspace.report)
        self._pool = ThreadPoolExecutor(capacity.workers, "guest")

    def with_plan(self, ready: ResolvedPlan) -> Lab:
        """Return this lab for another plan of the same architectures: same threads and guests."""
        other = copy.copy(self)
        other.ready = ready
        return other

    def _accel(self, arch: Arch) -> AccelName:
        accel, reason = choose_accel(self.ready.plan.accel, arch)
        if reason:
            self.workspace.report(Note(f"{arch.name}: {accel}: {reason}"))
        return accel

    def kernel(self, arch: Arch, position: int, profiled: tuple[str, ...] = ()) -> Kernel:
        """Build (or find) a kernel, as :func:`make_kernel`."""
        return make_kernel(self.ready, arch, position, self.workspace, profiled)

    def boot_artifacts(self, arch: Arch, kernel: Kernel) -> GuestArtifacts:
        """Build (or find) what it takes to boot *kernel*."""
        return boot_artifacts(self.ready, arch, kernel, self.workspace)

    def guest_artifacts(self, arch: Arch, kernel: Kernel) -> GuestArtifacts:
        """Build (or find) that and all tests and loads of the plan."""
        return guest_artifacts(self.ready, arch, kernel, self.workspace)

    def spec(self, arch: Arch, artifacts: GuestArtifacts, ram_mib: int) -> GuestSpec:
        """Describe a guest without scratch disks."""
        return guest_spec(self.ready.plan, arch, artifacts, ram_mib, self._accels[arch.name])

    def job(self, arch: Arch, artifacts: GuestArtifacts, cell: Cell) -> CellJob:
        """Describe the experiment that gives *cell* its verdict."""
        return cell_job(self.ready, arch, artifacts, cell, self._accels[arch.name])

    def run(self, job: CellJob, run: RunFolder, *, fresh: bool = False) -> CellResult:
        """Return the verdict of *job*, as :func:`run_cell`."""
        return run_cell(job, run, self.workspace.store, self.templates, fresh=fresh)

    def submit(self, work: Callable[..., T], *args: object) -> Future[T]:
        """Do *work* in a thread of the pool, which has one for each guest that may run."""
        return self._pool.submit(work, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            with process.stop_all():
                kill_all()
                self._pool.shutdown(wait=True)
        self._pool.shutdown(wait=True)


def _without_kernel(plan: Plan, arch: Arch, accel: AccelName) -> GuestSpec:
    """Describe a guest as those of *plan*, for QEMU alone to look at."""
    nothing = Path()
    return GuestSpec(
        arch, nothing, nothing, RAM_MIB, plan.cpus, accel, qemu_args=qemu_words(plan.qemu_args)
    )
