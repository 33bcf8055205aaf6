# SPDX-License-Identifier: GPL-2.0-only
"""The stages in order: plan → source → patch → build → image → boot → run → collect → report.

Kernels are built one after the other, in the order of positions, because they share a work
tree. As soon as one stands, its template is made, its modules are built and its cells run, all
beside the build of the next.
"""

from __future__ import annotations

import threading
import time
from concurrent import futures
from dataclasses import replace
from datetime import UTC, datetime

from harness import __version__
from harness.host import resources
from harness.host.files import write_whole
from harness.model.errors import BuildError, HarnessError, Interrupted, KernelBuildError
from harness.model.events import CellDone, Note
from harness.model.jsonio import to_json
from harness.model.results import CellResult, KernelFault, KernelRecord, RunRecord, Stop
from harness.model.values import Arch, Cell, Kernel, Plan, Verdict
from harness.run.cell import CellJob
from harness.run.folder import RunFolder
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan, prepare
from harness.run.workspace import Workspace
from harness.verdict.judge import judge_fault, missed_result


def run_plan(plan: Plan, workspace: Workspace, run: RunFolder, *, fresh: bool = False) -> RunRecord:
    """Run *plan* and return its record; ``run.json`` is written whatever happens after the start.

    Raises:
        HarnessError: nothing could be started, or it was interrupted; what is finished is kept
            in the run's folder and in the cache.
    """
    return run_prepared(prepare(plan, workspace), workspace, run, fresh=fresh)


def run_prepared(
    ready: ResolvedPlan, workspace: Workspace, run: RunFolder, *, fresh: bool = False
) -> RunRecord:
    """Run a plan whose names are resolved already; else as :func:`run_plan`."""
    with Lab(ready, workspace) as lab:
        return run_in(lab, run, fresh=fresh)


def run_in(lab: Lab, run: RunFolder, *, fresh: bool = False) -> RunRecord:
    """Run the plan of *lab*, which stays open; else as :func:`run_plan`."""
    clock = time.monotonic()
    matrix = _Matrix(lab, run, fresh)
    record = _opening(lab.ready, run)
    try:
        matrix.fill()
    except (KeyboardInterrupt, Interrupted):
        stopped = f"interrupted{matrix.not_run()}"
        record = replace(record, finished=False, error=stopped)
        raise _interruption(stopped, fresh=fresh) from None
    except HarnessError as error:
        record = replace(record, finished=False, error=error.what)
        raise
    finally:
        record = replace(
            record,
            seconds=time.monotonic() - clock,
            kernels=tuple(matrix.kernels),
            cells=matrix.in_order(),
        )
        write_whole(run.path / "run.json", to_json(record))
    return record


def _interruption(stopped: str, *, fresh: bool) -> Interrupted:
    hint = "run the same command to go on"
    if fresh:
        hint = "the same command begins anew; without --fresh it takes what is known"
    return Interrupted(f"{stopped}; what is finished is kept", hint=hint)


def _opening(ready: ResolvedPlan, run: RunFolder) -> RunRecord:
    return RunRecord(
        id=run.id,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        harness_version=__version__,
        plan=ready.plan,
        series_title=ready.series.title,
        patch_titles=tuple(p.title for p in ready.series.patches),
        tree_version=ready.tree.version,
        tree_origin=ready.tree.origin,
        tree_digest=ready.tree.digest,
        host=resources.describe(),
        series_name=ready.series.name,
        base_commit=ready.tree.commit,
        patches=run.save_patches(ready.series),
    )


class _Matrix:
    """The verdicts of a run, as they come in."""

    def __init__(self, lab: Lab, run: RunFolder, fresh: bool) -> None:
        self.lab = lab
        self.ready = ready = lab.ready
        self.run = run
        self.fresh = fresh
        self.kernels: list[KernelRecord] = []
        self.wanted = tuple(
            cell for p in ready.positions for arch in ready.archs for cell in ready.cells(arch, p)
        )
        self._results: dict[Cell, CellResult] = {}
        self._lock = threading.Lock()
        self._opened: list[futures.Future[list[futures.Future[None]]]] = []

    def fill(self) -> None:
        """Build every kernel, run every cell, and wait for the last one."""
        undecided: list[tuple[Arch, int, KernelBuildError]] = []
        for position in self.ready.positions:
            for arch in self.ready.archs:
                self._raise_early()
                try:
                    kernel = self._kernel(arch, position)
                except KernelFailed as failed:
                    self._failed(arch, position, failed.fault)
                except KernelBuildError as error:
                    undecided.append((arch, position, error))
                else:
                    self._opened.append(self.lab.submit(self._open, arch, position, kernel))
        for arch, position, unclear in undecided:
            # A later position that builds clears the host.
            fault = self.lab.build_fault(arch, position, unclear)
            if fault is None:
                self._unbuilt(arch, position, unclear)
            else:
                self._failed(arch, position, fault)
        for opened in self._opened:
            for cell in futures.as_completed(opened.result()):
                cell.result()

    def in_order(self) -> tuple[CellResult, ...]:
        """Return the verdicts that are in, in the order of the matrix."""
        with self._lock:
            return tuple(self._results[cell] for cell in self.wanted if cell in self._results)

    def not_run(self) -> str:
        """Return how many cells have no verdict, to follow why; "" where all have one."""
        left = len(self.wanted) - len(self.in_order())
        return f", {left} of {len(self.wanted)} cells not run" if left else ""

    def _raise_early(self) -> None:
        """Stop building at once when a guest could not be run for a reason of ours."""
        for opened in self._opened:
            if opened.done():
                for cell in opened.result():
                    if cell.done():
                        cell.result()

    def _kernel(self, arch: Arch, position: int) -> Kernel:
        kernel = self.lab.kernel(arch, position)
        config, log = self.run.save_kernel(kernel)
        self._record(
            replace(
                self._blank_record(arch, position),
                key=kernel.key,
                config_sha256=kernel.config_sha256,
                compiler=kernel.compiler,
                warnings=kernel.warnings,
                seconds=kernel.seconds,
                reused=kernel.reused,
                config=config,
                build_log=log,
            )
        )
        return kernel

    def _record(self, kernel: KernelRecord) -> None:
        with self._lock:
            self.kernels.append(kernel)

    def _blank_record(self, arch: Arch, position: int) -> KernelRecord:
        return KernelRecord(
            arch=arch.name,
            position=position,
            patch_title=self.ready.series.title_at(position),
            version=self.ready.tree.version,
            patchset_hash=self.ready.series.patchset_hash(position),
        )

    def _tell(self, *texts: str) -> None:
        self.lab.workspace.report(Note("\n".join(filter(None, texts)), "warning"))

    def _failed(self, arch: Arch, position: int, fault: KernelFault) -> None:
        """A position that has no kernel by its own fault is a FAIL of its cells."""
        if fault.stage is not Stop.APPLY:  # the lab told that
            self._tell(f"{arch.name} position {position}: {fault.what}", fault.detail)
        self._record(replace(self._blank_record(arch, position), error=fault.what, fault=fault))
        series = self.ready.series.name
        for cell in self.ready.cells(arch, position):
            self._enter(judge_fault(cell, self.ready.test(cell.test), series, fault))

    def _unbuilt(self, arch: Arch, position: int, error: BuildError) -> None:
        """A position that cannot be built is a MISS of its cells; the others still run."""
        what = "\n".join(filter(None, (error.what, error.detail)))
        self._tell(f"{arch.name} position {position}: {what}", error.hint)
        with self._lock:
            made = [k for k in self.kernels if (k.arch, k.position) == (arch.name, position)]
        if not made:
            self._record(replace(self._blank_record(arch, position), error=what))
        for cell in self.ready.cells(arch, position):
            test = self.ready.test(cell.test)
            reason = f"nothing to boot: {error.what}"
            self._enter(missed_result(cell, test, self.ready.series.name, reason))

    def _open(self, arch: Arch, position: int, kernel: Kernel) -> list[futures.Future[None]]:
        """Make ready what runs on *kernel*, and line up its cells."""
        warmed = [] if kernel.reused else self._warm(arch, kernel)
        try:
            artifacts = self.lab.guest_artifacts(arch, kernel)
        except BuildError as error:
            self._unbuilt(arch, position, error)
            return warmed
        cells = self.ready.cells(arch, position)
        jobs = [self.lab.job(arch, artifacts, cell) for cell in cells]
        return warmed + [self.lab.submit(self._run, job) for job in jobs]

    def _warm(self, arch: Arch, kernel: Kernel) -> list[futures.Future[None]]:
        """Boot the templates of a kernel that is new while its modules are built."""
        artifacts = self.lab.boot_artifacts(arch, kernel)
        specs = [self.lab.spec(arch, artifacts, ram) for ram in self.ready.plan.ram_mib]
        return [self.lab.submit(self.lab.templates.warm, spec) for spec in specs]

    def _run(self, job: CellJob) -> None:
        result = self.lab.run(job, self.run, fresh=self.fresh)
        if result.fault is not None:
            self._mark(result.cell, result.fault)
        self._enter(result)

    def _mark(self, cell: Cell, fault: KernelFault) -> None:
        """Note in the record of *cell*'s kernel that it does not boot, once."""
        with self._lock:
            for number, kernel in enumerate(self.kernels):
                of_cell = (kernel.arch, kernel.position) == (cell.arch, cell.position)
                if of_cell and kernel.fault is None:
                    self.kernels[number] = replace(kernel, fault=fault)

    def _enter(self, result: CellResult) -> None:
        with self._lock:
            self._results[result.cell] = result
            done = len(self._results)
        self.lab.workspace.report(CellDone(result, done, len(self.wanted)))


def exit_code(record: RunRecord) -> int:
    """Return 0: all as expected, 1: a verdict differs, 3: cells that could not be run at all."""
    differing = [cell for cell in record.cells if not cell.as_expected]
    if not differing and record.finished:
        return 0
    if any(cell.verdict is not Verdict.MISS for cell in differing):
        return 1
    return 3
