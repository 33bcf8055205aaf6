# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and guests of one plan: from the check of the host to the verdict of a cell."""

from __future__ import annotations

import contextlib
import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from harness.guest.capacity import Capacity
from harness.guest.guest import READY_S, BootFailure
from harness.guest.qemu.accel import choose_accel
from harness.guest.qemu.process import kill_all
from harness.guest.qemu.trial import require_accepted
from harness.guest.template import Templates
from harness.host import process, resources
from harness.model.errors import KernelBuildError
from harness.model.events import Note
from harness.model.results import CellResult, KernelFault, Observation, Stop
from harness.model.values import AccelName, Arch, Cell, GuestSpec, Kernel, Plan
from harness.plan.guest_words import qemu_words
from harness.plan.plan import RAM_MIB
from harness.run.artifacts import (
    GuestArtifacts,
    boot_artifacts,
    content_of,
    guest_artifacts,
    guest_spec,
    make_kernel,
)
from harness.run.boots import Boots, Debug, NoBoot
from harness.run.cell import Around, CellJob, cell_job, observe, run_cell
from harness.run.folder import RunFolder
from harness.run.kernel_failed import KernelFailed
from harness.run.prepare import ResolvedPlan
from harness.run.symbolize import DebugSource
from harness.run.workspace import Workspace
from harness.source.apply import unapplied
from harness.source.line_origin import patch_of_line

T = TypeVar("T")
_STOPS = (signal.SIGINT, signal.SIGTERM)


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
        self.boots = Boots(self.templates)
        self.unapplied = self._first_unapplied()
        self._builds: dict[str, bool] = {}  # by architecture: does some position build?
        self._pool = ThreadPoolExecutor(capacity.workers, "guest")

    def with_plan(self, ready: ResolvedPlan) -> Lab:
        """Return this lab for another plan of the same architectures: same threads and guests."""
        other = copy.copy(self)
        other.ready = ready
        if ready.series != self.ready.series:
            other.unapplied = other._first_unapplied()
        return other

    def _accel(self, arch: Arch) -> AccelName:
        accel, reason = choose_accel(self.ready.plan.accel, arch)
        if reason:
            self.workspace.report(Note(f"{arch.name}: {accel}: {reason}"))
        return accel

    def _first_unapplied(self) -> KernelFault | None:
        """Find the first patch of the series that does not apply, and tell it; None: all do."""
        error = unapplied(self.ready.tree, self.ready.series)
        if error is None:
            return None
        detail = "\n".join(filter(None, (error.detail, error.hint)))
        self.workspace.report(Note(f"{error.what}\n{detail}".rstrip(), "warning"))
        return KernelFault(Stop.APPLY, error.what, patch=error.number, detail=detail)

    def kernel(self, arch: Arch, position: int, profiled: tuple[str, ...] = ()) -> Kernel:
        """Build (or find) a kernel, as :func:`make_kernel`.

        Raises:
            KernelFailed: a patch of the series does not apply or does not build.
            KernelBuildError: it does not build, and nor does the base.
            InfraError: as :func:`make_kernel`.
        """
        if self.unapplied and position >= self.unapplied.patch:
            raise KernelFailed(arch.name, position, self.unapplied)
        try:
            kernel = make_kernel(self.ready, arch, position, self.workspace, profiled)
        except KernelBuildError as error:
            fault = self.build_fault(arch, position, error)
            if fault is None:
                raise
            raise KernelFailed(arch.name, position, fault) from error
        self._builds[arch.name] = True
        return kernel

    def build_fault(self, arch: Arch, position: int, error: KernelBuildError) -> KernelFault | None:
        """Return the fault of a kernel that does not build; None where nothing else builds either.

        Where no other position was built yet, the base is.
        """
        if position and arch.name not in self._builds:
            try:
                make_kernel(self.ready, arch, 0, self.workspace)
                self._builds[arch.name] = True
            except KernelBuildError:
                self._builds[arch.name] = False
        if not self._builds.get(arch.name, False):
            return None
        file, _, line = error.place.rpartition(":")
        ready = self.ready
        patch = patch_of_line(ready.tree, ready.series, position, file, int(line)) if file else 0
        return KernelFault(
            stage=Stop.BUILD,
            what=f"does not build: {error.error}",
            place=error.place,
            patch=patch,
            detail=error.detail,
            grounds="another position of the series builds with the same compiler and options",
        )

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
        return run_cell(job, run, self.workspace.store, self.observe, fresh=fresh)

    def observe(
        self, job: CellJob, folder: Path, around: Around = contextlib.nullcontext
    ) -> Observation:
        """Run *job*'s test, as :func:`observe`; a kernel that does not come up is judged.

        Raises:
            GuestError, InfraError: it could not be run, for a reason of ours.
        """
        started = time.monotonic()
        try:
            seen = observe(job, folder, self.boots.guest, around)
        except BootFailure as failure:
            no_boot = self.judge_boot(job.cell.position, job.spec, failure, job.debug)
            seen = Observation(None, no_boot.console, note=no_boot.why, fault=no_boot.fault)
        else:
            self.boots.came_up(job.spec, f"position {job.cell.position}")
        return replace(seen, seconds=time.monotonic() - started)

    def judge_boot(
        self, position: int, spec: GuestSpec, failure: BootFailure, debug: DebugSource | None = None
    ) -> NoBoot:
        """Return whose fault it is that the kernel of *position* did not come up as *spec*."""

        def witness(asked: GuestSpec) -> tuple[str, str]:
            return self._base_up(position, asked)

        ready = self.ready
        where = Debug(debug, ready.tree, ready.series, position) if debug else None
        return self.boots.judge(spec, failure, witness, where)

    def _base_up(self, position: int, asked: GuestSpec) -> tuple[str, str]:
        """Boot the base as *asked*: return its name, and why it did not come up."""
        if not position:
            return "", "no other kernel of the run came up with the same RAM and initramfs"
        try:
            base = make_kernel(self.ready, asked.arch, 0, self.workspace)
        except KernelBuildError as error:
            return "", f"the base, to compare with, does not build: {error.error}"
        content = content_of(base, asked.initramfs)
        if content == asked.content:
            return "", "its kernel is that of position 0"
        spec = replace(asked, kernel=base.image, content=content, disks_mib=())
        try:
            self.templates.make(spec, READY_S)
        except BootFailure as failure:
            return "", f"position 0 does not come up with {asked.ram_mib}M either: {failure.reason}"
        self.boots.came_up(spec, "position 0")
        return "position 0", ""

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


def _without_kernel(plan: Plan, arch: Arch, accel: AccelName) -> GuestSpec:
    """Describe a guest as those of *plan*, for QEMU alone to look at."""
    nothing = Path()
    return GuestSpec(
        arch, nothing, nothing, RAM_MIB, plan.cpus, accel, qemu_args=qemu_words(plan.qemu_args)
    )


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
