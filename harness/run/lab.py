# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and guests of one plan: from the check of the host to the verdict of a cell."""

from __future__ import annotations

import contextlib
import copy
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self, TypeVar

from harness.guest.capacity import Capacity
from harness.guest.qemu.accel import choose_accel
from harness.guest.qemu.process import kill_all
from harness.guest.template import Templates
from harness.host import packages, process
from harness.model.events import Note
from harness.model.results import CellResult
from harness.model.values import AccelName, Arch, Cell, GuestSpec, Kernel
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
_STOPS = (signal.SIGINT, signal.SIGTERM)


class Lab:
    """All that the cells of a plan need to run.

    A context manager: its exit waits for the work that was submitted. An exit by an exception
    (Ctrl-C and SIGTERM are one) drops work that has not begun, ends guests and builds, and leaves
    no thread behind. Unfinished work leaves nothing in the store.
    """

    def __init__(self, ready: ResolvedPlan, workspace: Workspace) -> None:
        """Check the host, and choose the accelerators.

        Raises:
            InfraError: a package is missing; the hint is the one command that brings it.
            UserError: KVM was asked for by name, and does not work here.
        """
        packages.require(ready.archs)
        self.ready = ready
        self.workspace = workspace
        self._accels = {arch.name: self._accel(arch) for arch in ready.archs}
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
            with _undisturbed(), process.stop_all():
                self._pool.shutdown(wait=False, cancel_futures=True)
                kill_all()
                self._pool.shutdown(wait=True)
        self._pool.shutdown(wait=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C or SIGTERM inside: it would leave what the first one stops halfway.

    A guest that is ended then would pass for one that somebody else has killed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
