# SPDX-License-Identifier: GPL-2.0-only
"""One stage each, for whoever needs some of them: what a plan names, kernels, benches, guests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.build.initramfs import SSH, assemble, base_image, extra_image
from harness.build.kconfig import topic_files
from harness.build.kernel import build_folder, build_kernel
from harness.build.modules import build_modules, build_program
from harness.guest.qemu.process import qemu_version
from harness.host.files import key_of
from harness.model.values import (
    AccelName,
    Arch,
    Cell,
    GuestSpec,
    Kernel,
    Plan,
)
from harness.plan.loads import pressures
from harness.run.cell import CellJob
from harness.run.cell_loads import Applied
from harness.run.guest_test import MODULES
from harness.run.load import path_of
from harness.run.prepare import Prepared
from harness.run.symbolize import DebugSource
from harness.run.workspace import Workspace
from harness.source.fetch import fetch


@dataclass(frozen=True)
class Bench:
    """A kernel with all that runs on it."""

    kernel: Kernel
    initramfs: Path  # PID 1 and its tools; all else comes into the running guest
    ssh: Path  # the SSH server, for whoever asks for it
    debug: DebugSource  # for what goes wrong in it
    modules: Mapping[str, Path] = field(default_factory=dict)  # by test
    programs: Mapping[str, Path] = field(default_factory=dict)  # or modules, by load


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
        load.name: build_program(arch, load.folder, *where, include=space.checkout.load_include)
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
