# SPDX-License-Identifier: GPL-2.0-only
"""The place of a benchmark, and the one kernel per architecture that all its guests boot.

It is the flagship series at its last position with XFS in the config: the same kernel for clones,
for cold boots and, with what virtme-ng needs on top, for virtme-ng.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.arch import load_arch
from harness.build.kconfig import topic_files
from harness.build.kernel import build_kernel
from harness.model.errors import InfraError
from harness.model.values import GuestSpec, Kernel, Plan
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan, prepare
from harness.run.workspace import Workspace

CELLS, CLONES = 200, 1000  # what the rows say
TOPICS = ("xfs",)
POSITION = 4
# What the manual of virtme-ng boots, and what a plain make yields.
_BZIMAGE = "arch/x86/boot/bzImage"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Testbed:
    """The checkout and cache that are measured, and how much of the long rows."""

    __test__ = False  # not a pytest class

    workspace: Workspace
    folder: Path  # a temporary one
    cells: int = CELLS  # isolated guest tests in a row
    clones: int = CLONES  # of the soak

    @property
    def keep(self) -> Path:
        """Peers and build folders: what takes minutes to make, and is made once."""
        return self.workspace.cache.bench

    def new_folder(self, name: str) -> Path:
        """Return a folder of its own for one run, made."""
        folder = self.folder / f"{name}-{next(_numbers)}"
        folder.mkdir(parents=True)
        return folder


@contextmanager
def open_testbed(workspace: Workspace, cells: int, clones: int) -> Iterator[Testbed]:
    """Give a testbed whose temporary folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kph-bench-") as folder:
        yield Testbed(workspace, Path(folder), cells, clones)


@functools.cache
def prepared(testbed: Testbed, arch: str) -> ResolvedPlan:
    """Return the plan that every guest of *arch* is of: no load, default RAM, under TCG."""
    plan = Plan(arch=(arch,), positions=(POSITION,), loads=("none",), config=TOPICS, accel="tcg")
    return prepare(plan, testbed.workspace)


@functools.cache
def spec_of(testbed: Testbed, arch: str) -> GuestSpec:
    """Build what a guest of *arch* takes, and describe it."""
    ready = prepared(testbed, arch)
    lab = Lab(ready, testbed.workspace)
    kernel = lab.kernel(ready.archs[0], POSITION)
    artifacts = lab.boot_artifacts(ready.archs[0], kernel)
    return lab.spec(ready.archs[0], artifacts, ready.plan.ram_mib[0])


@functools.cache
def bzimage(testbed: Testbed) -> Kernel:
    """Build the x86_64 guest's kernel with what virtme-ng needs on top, as a bzImage.

    Raises:
        InfraError: the host cannot pack it.
    """
    if shutil.which("lz4") is None:
        raise InfraError("'lz4' is not installed", hint="run: apt-get install lz4")
    ready = prepared(testbed, "x86_64")
    arch = replace(load_arch("x86_64"), image=_BZIMAGE, make_targets=("bzImage",))
    fragments = topic_files(testbed.workspace.checkout.kconfigs, arch.name, (*TOPICS, "virtme"))
    return build_kernel(
        ready.tree,
        ready.series,
        POSITION,
        arch,
        fragments,
        testbed.workspace.cache,
        testbed.workspace.report,
    )
