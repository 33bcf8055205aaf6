# SPDX-License-Identifier: GPL-2.0-only
"""make alone: the same goals, flags and kind of build folder as the harness, and nothing else.

Bringing the tree to a position and configuring are not timed: a developer's editor does the one,
and the other happens once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.testbed import Testbed
from harness.arch import load_arch
from harness.build.configure import Configuration, configure
from harness.build.kbuild import Kbuild
from harness.build.kconfig import Asked, merge, read_fragments, topic_files
from harness.build.toolchain import find_toolchain
from harness.host import resources
from harness.model.errors import BuildError
from harness.model.values import Series, SourceTree
from harness.source.apply import contents_at
from harness.source.worktree import WorkTree


@dataclass(frozen=True)
class PlainMake:
    """A work tree and a build folder in which make is run at positions of a series."""

    work: WorkTree
    kbuild: Kbuild
    asked: tuple[Asked, ...]
    log: Path

    def seconds(self, series: Series, position: int) -> float:
        """Bring the tree to *position* of *series*, and return what make then took.

        Raises:
            BuildError: it does not build.
        """
        self.work.show(contents_at(self.work.tree, series, position))
        version = self.work.tree.version
        configure(self.kbuild, Configuration(self.asked, version, "bench"), self.log)
        arch = self.kbuild.tools.arch
        begun = time.perf_counter()
        done = self.kbuild.make((*arch.make_targets, "modules"), self.log, jobs=resources.cores())
        seconds = time.perf_counter() - begun
        if not done.ok:
            raise BuildError(
                f"make alone failed at position {position}",
                hint=f"full log: {self.log}",
                detail=done.stdout[-2000:],
            )
        return seconds


@contextmanager
def open_make(testbed: Testbed, arch: str, tree: SourceTree) -> Iterator[PlainMake]:
    """Give a make with a tree of its own, laid out like those of the harness."""
    cache = testbed.workspace.cache
    tools = find_toolchain(load_arch(arch))
    fragments = topic_files(testbed.workspace.checkout.kconfigs, arch)
    with WorkTree(tree, cache, testbed.workspace.report, name="bench-make") as work:
        kbuild = Kbuild(work.path, work.folder / f"build-{arch}", tools, cache)
        kbuild.out.mkdir(parents=True, exist_ok=True)
        yield PlainMake(work, kbuild, merge(read_fragments(fragments)), kbuild.out / "bench.log")
