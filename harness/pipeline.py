# SPDX-License-Identifier: GPL-2.0-only
"""The stages in order: plan → source → patch → build → image → boot → run → collect → report.

Kernels are built one after the other, in the order of positions, because they share a work
tree; cells run beside that as soon as their kernel stands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import __version__, host
from harness.arch import load_arch
from harness.build import build_kernel
from harness.cells import CellJob, run_cell
from harness.errors import BuildError, HarnessError, Interrupted, UserError
from harness.events import CellDone, Event, Note
from harness.guest_build import build_modules, build_program
from harness.image import assemble, base_image, extra_image
from harness.jsonio import to_json
from harness.kconfig import topic_files
from harness.layout import Cache, Checkout
from harness.model import (
    AccelName,
    Arch,
    Cell,
    GuestSpec,
    GuestTest,
    Kernel,
    Load,
    Plan,
    Series,
    SourceTree,
    Verdict,
)
from harness.plan import load_loads, load_tests, select_tests
from harness.qemu.accel import choose_accel
from harness.qemu.process import kill_all, qemu_version
from harness.record import CellResult, KernelRecord, RunRecord
from harness.runfolder import RunFolder, write_whole
from harness.series import series_from
from harness.source import fetch
from harness.store import Store, digest_files
from harness.verdict import missed_result

Report = Callable[[Event], None]

# What a guest takes of the host beyond its own RAM: QEMU's text, heap and translated code,
# measured at 60 to 90 MiB for these guests under TCG.
QEMU_OVERHEAD_MIB = 128


@dataclass(frozen=True)
class Workspace:
    """Where things are, and who is told about progress."""

    checkout: Checkout
    cache: Cache
    report: Report
    settle: Callable[[], None] = lambda: None  # ends a live display before results are printed

    @property
    def store(self) -> Store:
        return Store(self.cache.store)


@dataclass(frozen=True)
class Prepared:
    """A plan with all its names resolved: nothing was built yet."""

    plan: Plan
    tree: SourceTree
    series: Series
    archs: tuple[Arch, ...]
    positions: tuple[int, ...]
    tests: tuple[GuestTest, ...]
    loads: tuple[Load | None, ...]

    def cells(self, arch: Arch, position: int) -> tuple[Cell, ...]:
        """Return the cells of one kernel, in the order in which they run."""
        return tuple(
            Cell(
                arch=arch.name,
                base=self.plan.base,
                position=position,
                config=self.plan.config,
                ram_mib=ram,
                test=test.name,
                load=load.name if load else "none",
            )
            for ram in self.plan.ram_mib
            for load in self.loads
            for test in self.tests
        )

    def test(self, name: str) -> GuestTest:
        """Return the test of this plan called *name*."""
        return next(test for test in self.tests if test.name == name)

    def load(self, name: str) -> Load | None:
        """Return the load of this plan called *name*, None for "none"."""
        return next((load for load in self.loads if load and load.name == name), None)


@dataclass(frozen=True)
class Bench:
    """A kernel with the image to boot it with."""

    kernel: Kernel
    initramfs: Path
    base: Path  # the part of the initramfs that every guest of this architecture shares
    modules: Mapping[str, Path]  # by test
    programs: Mapping[str, Path]  # by load

    def sha256_for(self, cell: Cell) -> str:
        """Digest what *cell* uses of the initramfs: an edited test spares the others' verdicts."""
        used = [self.base, self.modules[cell.test]]
        used += [program for load, program in self.programs.items() if load == cell.load]
        return digest_files(*used)


def prepare(plan: Plan, space: Workspace) -> Prepared:
    """Resolve every name of *plan*: fetch the source, read series, tests and loads.

    Raises:
        UserError: a name means nothing here, or a position is outside the series.
        InfraError: the source cannot be had.
    """
    archs = tuple(load_arch(name) for name in plan.arch)
    tests = select_tests(load_tests(space.checkout), plan.tests)
    loads = load_loads(space.checkout)
    tree = fetch(plan.base, space.cache, plan.mirror, space.report)
    series = series_from(plan.series, space.checkout, tree)
    return Prepared(
        plan=plan,
        tree=tree,
        series=series,
        archs=archs,
        positions=checked_positions(series, plan.positions),
        tests=tests,
        loads=tuple(None if name == "none" else loads[name] for name in plan.loads),
    )


def checked_positions(series: Series, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return *wanted* in order, or every position of *series* where nothing was asked for.

    Raises:
        UserError: a position that the series does not have.
    """
    for position in wanted:
        if position not in series.positions:
            raise UserError(
                f"position {position} is outside series '{series.name}'",
                hint=f"it has positions 0 (base) to {len(series.patches)}",
            )
    return tuple(sorted(set(wanted))) or series.positions


def make_kernel(ready: Prepared, arch: Arch, position: int, space: Workspace) -> Kernel:
    """Build (or find) the kernel of one position."""
    fragments = topic_files(space.checkout.kconfigs, arch.name, ready.plan.config)
    return build_kernel(
        ready.tree, ready.series, position, arch, fragments, space.cache, space.report
    )


def make_bench(ready: Prepared, arch: Arch, kernel: Kernel, space: Workspace) -> Bench:
    """Build (or find) modules, PID 1 and loads for *kernel* and put them into one initramfs."""
    modules = build_modules(
        kernel, arch, ready.tests, space.checkout.include, space.cache, space.report
    )
    programs = {
        load.name: build_program(arch, load.folder, space.cache, space.report)
        for load in ready.loads
        if load is not None
    }
    files = {f"harness/modules/{t.module}.ko": modules[t.name] for t in ready.tests}
    files |= {f"harness/loads/{name}": program for name, program in programs.items()}
    base = base_image(arch, space.checkout, space.cache, ready.plan.mirror, space.report)
    initramfs = assemble((base, extra_image(files, space.cache)), space.cache)
    return Bench(kernel, initramfs, base, modules, programs)


def guest_spec(plan: Plan, arch: Arch, bench: Bench, ram_mib: int, accel: AccelName) -> GuestSpec:
    """Describe the guest that *plan* asks for."""
    return GuestSpec(
        arch=arch,
        kernel=bench.kernel.image,
        initramfs=bench.initramfs,
        ram_mib=ram_mib,
        cpus=plan.cpus,
        accel=accel,
    )


def cell_job(ready: Prepared, arch: Arch, bench: Bench, cell: Cell, accel: AccelName) -> CellJob:
    """Describe the experiment that gives *cell* its verdict."""
    return CellJob(
        cell=cell,
        test=ready.test(cell.test),
        load=ready.load(cell.load),
        series=ready.series,
        kernel=bench.kernel,
        spec=guest_spec(ready.plan, arch, bench, cell.ram_mib, accel),
        guest_sha256=bench.sha256_for(cell),
        qemu_version=qemu_version(arch),
    )


def parallel_guests(plan: Plan) -> int:
    """Return how many guests run at a time: as many as cores and free memory allow, at least 1."""
    if plan.jobs:
        return plan.jobs
    each = max(plan.ram_mib) + QEMU_OVERHEAD_MIB
    return max(1, min(host.cores() // plan.cpus, host.memory_mib() // 2 // each))


def run_plan(plan: Plan, space: Workspace, run: RunFolder, *, fresh: bool = False) -> RunRecord:
    """Run *plan* and return its record; ``run.json`` is written whatever happens after the start.

    Raises:
        HarnessError: nothing could be started, or it was interrupted; what is finished is kept
            in the run's folder and in the cache.
    """
    clock = time.monotonic()
    ready = prepare(plan, space)
    host.require(ready.archs)
    record = _opening(ready, run)
    matrix = _Matrix(ready, space, run, fresh)
    try:
        matrix.fill()
    except (KeyboardInterrupt, Interrupted):
        matrix.stop()
        record = replace(record, finished=False, error="interrupted")
        raise Interrupted(
            "interrupted; what is finished is kept", hint="run the same command to go on"
        ) from None
    except HarnessError as error:
        matrix.stop()
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


def _opening(ready: Prepared, run: RunFolder) -> RunRecord:
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
        host=host.describe(),
    )


class _Matrix:
    """The cells of a run as they fill in; owns the pool of guests."""

    def __init__(self, ready: Prepared, space: Workspace, run: RunFolder, fresh: bool) -> None:
        self.ready = ready
        self.space = space
        self.run = run
        self.fresh = fresh
        self.kernels: list[KernelRecord] = []
        self.wanted = tuple(
            cell for p in ready.positions for arch in ready.archs for cell in ready.cells(arch, p)
        )
        self._results: dict[Cell, CellResult] = {}
        self._lock = threading.Lock()
        self._pool = futures.ThreadPoolExecutor(parallel_guests(ready.plan), "guest")
        self._running: list[futures.Future[CellResult]] = []

    def fill(self) -> None:
        """Build every kernel, run every cell, and wait for the last one."""
        accels = {a.name: self._accel(a) for a in self.ready.archs}
        for position in self.ready.positions:
            for arch in self.ready.archs:
                self._raise_early()
                try:
                    bench = self._bench(arch, position)
                except BuildError as error:
                    self._unbuilt(arch, position, error)
                else:
                    self._submit(arch, position, bench, accels[arch.name])
        for future in futures.as_completed(self._running):
            future.result()
        self._pool.shutdown()

    def stop(self) -> None:
        """Drop what waits, end the guests that run, and wait until their threads are gone."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        kill_all()
        self._pool.shutdown(wait=True)

    def in_order(self) -> tuple[CellResult, ...]:
        """Return the verdicts that are in, in the order of the matrix."""
        with self._lock:
            return tuple(self._results[cell] for cell in self.wanted if cell in self._results)

    def _raise_early(self) -> None:
        """Stop building at once when a guest could not be run for a reason of ours."""
        for future in self._running:
            if future.done():
                future.result()

    def _accel(self, arch: Arch) -> AccelName:
        accel, reason = choose_accel(self.ready.plan.accel, arch)
        if reason:
            self.space.report(Note(f"{arch.name}: {accel}: {reason}"))
        return accel

    def _bench(self, arch: Arch, position: int) -> Bench:
        kernel = make_kernel(self.ready, arch, position, self.space)
        config, log = self.run.save_kernel(kernel)
        self.kernels.append(
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
        return make_bench(self.ready, arch, kernel, self.space)

    def _blank_record(self, arch: Arch, position: int) -> KernelRecord:
        return KernelRecord(
            arch=arch.name,
            position=position,
            patch_title=self.ready.series.title_at(position),
            version=self.ready.tree.version,
            patchset_hash=self.ready.series.patchset_hash(position),
        )

    def _unbuilt(self, arch: Arch, position: int, error: BuildError) -> None:
        """A position that cannot be built is a MISS of its cells; the others still run."""
        what = "\n".join(filter(None, (error.what, error.detail)))
        self.space.report(
            Note(f"{arch.name} position {position}: {what}\n{error.hint}".rstrip(), "warning")
        )
        made = [k for k in self.kernels if (k.arch, k.position) == (arch.name, position)]
        if not made:
            self.kernels.append(replace(self._blank_record(arch, position), error=what))
        for cell in self.ready.cells(arch, position):
            test = self.ready.test(cell.test)
            reason = f"nothing to boot: {error.what}"
            self._enter(missed_result(cell, test, self.ready.series.name, reason))

    def _submit(self, arch: Arch, position: int, bench: Bench, accel: AccelName) -> None:
        for cell in self.ready.cells(arch, position):
            job = cell_job(self.ready, arch, bench, cell, accel)
            self._running.append(self._pool.submit(self._run, job))

    def _run(self, job: CellJob) -> CellResult:
        result = run_cell(job, self.run, self.space.store, fresh=self.fresh)
        self._enter(result)
        return result

    def _enter(self, result: CellResult) -> None:
        with self._lock:
            self._results[result.cell] = result
            done = len(self._results)
        self.space.report(CellDone(result, done, len(self.wanted)))


def exit_code(record: RunRecord) -> int:
    """Return 0: all as expected, 1: a verdict differs, 3: cells that could not be run at all."""
    differing = [cell for cell in record.cells if not cell.as_expected]
    if not differing and record.finished:
        return 0
    if any(cell.verdict is not Verdict.MISS for cell in differing):
        return 1
    return 3
