# SPDX-License-Identifier: GPL-2.0-only
"""Artifacts that the guests of a plan boot and run: kernel, initramfs, modules, programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.build.initramfs import SSH, assemble, base_image, extra_image
from harness.build.kconfig import topic_files
from harness.build.kernel import build_folder, build_kernel
from harness.build.modules import build_modules, build_program
from harness.host.files import key_of
from harness.model.values import AccelName, Arch, GuestSpec, Kernel, Plan
from harness.plan.guest_words import qemu_words
from harness.run.guest_test import MODULES
from harness.run.load import path_of
from harness.run.prepare import ResolvedPlan
from harness.run.symbolize import DebugSource
from harness.run.workspace import Workspace
from harness.source.fetch import fetch


@dataclass(frozen=True)
class GuestArtifacts:
    """A kernel with all that runs on it."""

    kernel: Kernel
    initramfs: Path  # PID 1 and its tools; all else comes into the running guest
    ssh: Path  # the SSH server, for whoever asks for it
    debug: DebugSource  # for what goes wrong in it
    modules: Mapping[str, Path] = field(default_factory=dict)  # by test
    programs: Mapping[str, Path] = field(default_factory=dict)  # or modules, by load


def make_kernel(
    ready: ResolvedPlan,
    arch: Arch,
    position: int,
    workspace: Workspace,
    profiled: tuple[str, ...] = (),
) -> Kernel:
    """Build (or find) the kernel of one position; C files *profiled* count their lines."""
    fragments = topic_files(workspace.checkout.kconfigs, arch.name, ready.plan.config)

    def pristine() -> None:
        """Look at every file of the tree; one that somebody changed is fetched anew."""
        fetch(ready.tree.spec, workspace.cache, ready.plan.mirror, workspace.report)

    return build_kernel(
        *(ready.tree, ready.series, position, arch, fragments, workspace.cache, workspace.report),
        before=pristine,
        profiled=profiled,
    )


def guest_artifacts(
    ready: ResolvedPlan, arch: Arch, kernel: Kernel, workspace: Workspace
) -> GuestArtifacts:
    """Build (or find) PID 1, modules and loads for *kernel*."""
    bare = boot_artifacts(ready, arch, kernel, workspace)
    modules = build_modules(
        kernel, arch, ready.tests, workspace.checkout.include, workspace.cache, workspace.report
    )
    where = (workspace.cache, workspace.report)
    modular = tuple(load for load in ready.loads if load.module)
    programs = build_modules(kernel, arch, modular, workspace.checkout.include, *where)
    programs |= {
        load.name: build_program(arch, load.folder, *where, library=workspace.checkout.load_library)
        for load in ready.loads
        if not load.module
    }
    return replace(bare, modules=modules, programs=programs)


def boot_artifacts(
    ready: ResolvedPlan, arch: Arch, kernel: Kernel, workspace: Workspace
) -> GuestArtifacts:
    """Return what it takes to boot *kernel*, without anything to run on it."""
    image = base_image(
        arch, workspace.checkout, workspace.cache, ready.plan.mirror, workspace.report
    )
    fragments = topic_files(workspace.checkout.kconfigs, arch.name, ready.plan.config)
    build = build_folder(ready.tree, ready.series, arch, fragments, workspace.cache)
    debug = DebugSource(kernel, arch, ready.tree, ready.series, build, workspace.store)
    return GuestArtifacts(kernel, image, image.parent / SSH, debug)


def image_with_all(ready: ResolvedPlan, artifacts: GuestArtifacts, workspace: Workspace) -> Path:
    """Return an initramfs with every module and load in it, for a person who looks around."""
    files = {f"{MODULES[1:]}/{t.module}.ko": artifacts.modules[t.name] for t in ready.tests}
    files |= {path_of(load)[1:]: artifacts.programs[load.name] for load in ready.loads}
    return assemble((artifacts.initramfs, extra_image(files, workspace.cache)), workspace.cache)


def guest_spec(
    plan: Plan,
    arch: Arch,
    artifacts: GuestArtifacts,
    ram_mib: int,
    accel: AccelName,
    disks_mib: tuple[int, ...] = (),
) -> GuestSpec:
    """Describe the guest that *plan* asks for."""
    return GuestSpec(
        arch=arch,
        kernel=artifacts.kernel.image,
        initramfs=artifacts.initramfs,
        ram_mib=ram_mib,
        cpus=plan.cpus,
        accel=accel,
        cmdline=plan.append,
        qemu_args=qemu_words(plan.qemu_args),
        disks_mib=disks_mib,
        ssh=artifacts.ssh,
        # Each result in the store lies in a folder that is named after its content key.
        content=key_of(artifacts.kernel.image_sha256, artifacts.initramfs.parent.name),
    )
