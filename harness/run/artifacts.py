# SPDX-License-Identifier: GPL-2.0-only
"""Artifacts that the guests of a plan boot and run: kernel, initramfs, modules, programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.build.initramfs import SSH, assemble, base_image, extra_image
from harness.build.kconfig import topic_files
from harness.build.kernel import build_folder, build_kernel
from harness.build.modules import build_each, build_program
from harness.guest.guest import MODULES
from harness.host.files import key_of
from harness.model.errors import BuildError, HarnessError, UserError
from harness.model.events import Note
from harness.model.values import AccelName, Arch, GuestSpec, Kernel, Plan
from harness.plan.guest_words import qemu_words
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
    # Why a test or load does not build for this kernel, by its folder.
    broken: Mapping[Path, HarnessError] = field(default_factory=dict)


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
    """Build (or find) PID 1, modules and loads for *kernel*.

    What does not build is told, and is in ``broken``: it is no reason not to run the others.
    """
    bare = boot_artifacts(ready, arch, kernel, workspace)
    where = (workspace.checkout.include, workspace.cache, workspace.report)
    modular = tuple(load for load in ready.loads if load.module)
    modules, wrong_tests = build_each(kernel, arch, ready.tests, *where)
    programs, wrong_loads = build_each(kernel, arch, modular, *where)
    broken = {
        test.folder: wrong_tests[test.name] for test in ready.tests if test.name in wrong_tests
    }
    broken |= {load.folder: wrong_loads[load.name] for load in modular if load.name in wrong_loads}
    for load in ready.loads:
        if load.module:
            continue
        try:
            programs[load.name] = build_program(
                *(arch, load.folder, workspace.cache, workspace.report),
                library=workspace.checkout.load_library,
            )
        except (BuildError, UserError) as error:
            broken[load.folder] = error
    for wrong in broken.values():
        said = "\n".join(filter(None, (wrong.what, wrong.detail, wrong.hint)))
        workspace.report(Note(said, "warning"))
    return replace(bare, modules=modules, programs=programs, broken=broken)


def boot_artifacts(
    ready: ResolvedPlan, arch: Arch, kernel: Kernel, workspace: Workspace
) -> GuestArtifacts:
    """Return what it takes to boot *kernel*, without anything to run on it."""
    image = base_image(
        arch, workspace.checkout, workspace.cache, ready.plan.mirror, workspace.report
    )
    fragments = topic_files(workspace.checkout.kconfigs, arch.name, ready.plan.config)
    build = build_folder(ready.tree, arch, fragments, workspace.cache)
    debug = DebugSource(kernel, arch, ready.tree, ready.series, build, workspace.store)
    return GuestArtifacts(kernel, image, image.parent / SSH, debug)


def image_with_all(ready: ResolvedPlan, artifacts: GuestArtifacts, workspace: Workspace) -> Path:
    """Return an initramfs with every module and load that builds, for one who looks around."""
    modules, programs = artifacts.modules, artifacts.programs
    files = {
        f"{MODULES[1:]}/{t.module}.ko": modules[t.name] for t in ready.tests if t.name in modules
    }
    files |= {
        path_of(load)[1:]: programs[load.name] for load in ready.loads if load.name in programs
    }
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
        content=content_of(artifacts.kernel, artifacts.initramfs),
    )


def content_of(kernel: Kernel, initramfs: Path) -> str:
    """Return what stands for a kernel and an initramfs in the key of a guest."""
    # Each result in the store lies in a folder that is named after its content key.
    return key_of(kernel.image_sha256, initramfs.parent.name)
