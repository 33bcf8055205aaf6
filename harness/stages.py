# SPDX-License-Identifier: GPL-2.0-only
"""One stage each, for whoever needs some of them: what a plan names, kernels, benches, guests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.arch import load_arch
from harness.build import build_folder, build_kernel
from harness.cells import CellJob
from harness.decode import DebugSource
from harness.errors import UserError
from harness.events import Event
from harness.guest_build import build_modules, build_program
from harness.image import SSH, assemble, base_image, extra_image
from harness.kconfig import read_fragments, topic_files
from harness.layout import Cache, Checkout
from harness.loadrun import path_of
from harness.model import (
    NO_LOAD,
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
)
from harness.plan import load_loads, load_tests, select_tests, with_ram
from harness.pressure import loads_named, pressures
from harness.qemu.process import qemu_version
from harness.series import series_from
from harness.source import fetch, known
from harness.store import Store, key_of
from harness.testrun import MODULES
from harness.underload import Applied

Report = Callable[[Event], None]


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
    loads: tuple[Load, ...]  # every one that some combination of the plan has
    topics: Mapping[str, frozenset[str]] = field(default_factory=dict)  # symbols that each sets

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
                load=load,
                repeat=repeat,
            )
            for ram in self.plan.ram_mib
            for load in dict.fromkeys((*self.plan.loads, NO_LOAD))
            for test in self.tests
            if load in test.loads_of(self.plan.loads, named=bool(self.plan.tests))
            for repeat in range(self.plan.repeat)
        )

    def test(self, name: str) -> GuestTest:
        """Return the test of this plan called *name*."""
        return next(test for test in self.tests if test.name == name)

    def load(self, name: str) -> Load:
        """Return the load called *name* that some combination of the plan has."""
        return next(load for load in self.loads if load.name == name)

    def lacking(self, load: Load, config: Collection[str]) -> str:
        """Say what *load* misses on a kernel whose .config has the lines *config*; "" if nothing.

        One line, with the config topic that brings it.
        """
        missing = [symbol for symbol in load.needs if f"CONFIG_{symbol}=y" not in config]
        if not missing:
            return ""
        bring = [topic for topic, symbols in self.topics.items() if symbols >= set(missing)]
        how = f": add --config {bring[0]}" if bring else ""
        return f"load {load.name} needs a kernel with {', '.join(missing)}{how}"


@dataclass(frozen=True)
class Bench:
    """A kernel with all that runs on it."""

    kernel: Kernel
    initramfs: Path  # PID 1 and its tools; all else comes into the running guest
    ssh: Path  # the SSH server, for whoever asks for it
    debug: DebugSource  # for what goes wrong in it
    modules: Mapping[str, Path] = field(default_factory=dict)  # by test
    programs: Mapping[str, Path] = field(default_factory=dict)  # or modules, by load


def prepare(plan: Plan, space: Workspace) -> Prepared:
    """Resolve every name of *plan*: fetch the source, read series, tests and loads.

    Raises:
        UserError: a name means nothing here, or a position is outside the series.
        InfraError: the source cannot be had.
    """
    plan = with_ram(plan, space.checkout)
    archs = tuple(load_arch(name) for name in plan.arch)
    tests = select_tests(load_tests(space.checkout), plan.tests)
    loads = load_loads(space.checkout)
    tree = known(plan.base, space.cache)
    tree = tree or fetch(plan.base, space.cache, plan.mirror, space.report)
    series = series_from(plan.series, space.checkout, tree)
    return Prepared(
        plan=plan,
        tree=tree,
        series=series,
        archs=archs,
        positions=checked_positions(series, plan.positions),
        tests=tests,
        loads=tuple(loads[name] for name in loads_named(plan.loads)),
        topics=_topics(space.checkout),
    )


def _topics(checkout: Checkout) -> dict[str, frozenset[str]]:
    files = sorted(checkout.kconfigs.glob("*.config"))
    return {
        fragment.topic: frozenset(s for s, value in fragment.values.items() if value == "y")
        for fragment in read_fragments(files)
    }


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


def make_kernel(
    ready: Prepared,
    arch: Arch,
    position: int,
    space: Workspace,
    profiled: tuple[str, ...] = (),
) -> Kernel:
    """Build (or find) the kernel of one position; C files *profiled* count their lines."""
    fragments = topic_files(space.checkout.kconfigs, arch.name, ready.plan.config)

    def pristine() -> None:
        """Look at every file of the tree; one that somebody changed is fetched anew."""
        fetch(ready.tree.spec, space.cache, ready.plan.mirror, space.report)

    return build_kernel(
        *(ready.tree, ready.series, position, arch, fragments, space.cache, space.report),
        before=pristine,
        profiled=profiled,
    )


def make_bench(ready: Prepared, arch: Arch, kernel: Kernel, space: Workspace) -> Bench:
    """Build (or find) PID 1, modules and loads for *kernel*."""
    bare = bare_bench(ready, arch, kernel, space)
    modules = build_modules(
        kernel, arch, ready.tests, space.checkout.include, space.cache, space.report
    )
    where = (space.cache, space.report)
    modular = tuple(load for load in ready.loads if load.module)
    programs = build_modules(kernel, arch, modular, space.checkout.include, *where)
    programs |= {
        load.name: build_program(arch, load.folder, *where, library=space.checkout.load_library)
        for load in ready.loads
        if not load.module
    }
    return replace(bare, modules=modules, programs=programs)


def bare_bench(ready: Prepared, arch: Arch, kernel: Kernel, space: Workspace) -> Bench:
    """Return what it takes to boot *kernel*, without anything to run on it."""
    image = base_image(arch, space.checkout, space.cache, ready.plan.mirror, space.report)
    fragments = topic_files(space.checkout.kconfigs, arch.name, ready.plan.config)
    build = build_folder(ready.tree, ready.series, arch, fragments, space.cache)
    debug = DebugSource(kernel, arch, ready.tree, ready.series, build, space.store)
    return Bench(kernel, image, image.parent / SSH, debug)


def furnished_image(ready: Prepared, bench: Bench, space: Workspace) -> Path:
    """Return an initramfs with every module and load in it, for a person who looks around."""
    files = {f"{MODULES[1:]}/{t.module}.ko": bench.modules[t.name] for t in ready.tests}
    files |= {path_of(load)[1:]: bench.programs[load.name] for load in ready.loads}
    return assemble((bench.initramfs, extra_image(files, space.cache)), space.cache)


def guest_spec(
    plan: Plan,
    arch: Arch,
    bench: Bench,
    ram_mib: int,
    accel: AccelName,
    disks_mib: tuple[int, ...] = (),
) -> GuestSpec:
    """Describe the guest that *plan* asks for."""
    return GuestSpec(
        arch=arch,
        kernel=bench.kernel.image,
        initramfs=bench.initramfs,
        ram_mib=ram_mib,
        cpus=plan.cpus,
        accel=accel,
        disks_mib=disks_mib,
        ssh=bench.ssh,
        # Each result in the store lies in a folder that is named after its content key.
        content=key_of(bench.kernel.image_sha256, bench.initramfs.parent.name),
    )


def cell_job(ready: Prepared, arch: Arch, bench: Bench, cell: Cell, accel: AccelName) -> CellJob:
    """Describe the experiment that gives *cell* its verdict."""
    config = frozenset(bench.kernel.config.read_text(encoding="utf-8").splitlines())
    test = ready.test(cell.test).on(config)
    # The test's own disk comes first.
    disks_mib = [test.disk_mib] if test.disk_mib else []
    loads = []
    for pressure in pressures(cell.load):
        load = ready.load(pressure.name)
        number = len(disks_mib) if load.disk_mib else None
        loads.append(Applied(load, pressure, bench.programs[load.name], number))
        disks_mib += [load.disk_for(cell.ram_mib)] if load.disk_mib else []
    return CellJob(
        cell=cell,
        test=test,
        loads=tuple(loads),
        series=ready.series,
        kernel=bench.kernel,
        debug=bench.debug,
        spec=guest_spec(ready.plan, arch, bench, cell.ram_mib, accel, tuple(disks_mib)),
        module=bench.modules[cell.test],
        qemu_version=qemu_version(arch),
        lacks="; ".join(filter(None, (ready.lacking(a.load, config) for a in loads))),
    )
