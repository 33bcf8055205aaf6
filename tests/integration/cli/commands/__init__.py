# SPDX-License-Identifier: GPL-2.0-only
"""A cache that toy kernels were built in, for tests of the commands that look after it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.build import kernel_devel
from harness.build.kernel import build_kernel
from harness.build.modules import build_modules
from harness.cache import lease
from harness.cache.store import Store
from harness.host.paths import Cache
from harness.model.values import Arch, Kernel, Series, SourceTree
from tests.integration.toy import fragment, ignore, toy_arch, toy_test, toy_tree, two_patches

ROOT = Path(__file__).resolve().parents[4]


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


Command = Callable[..., Done]


class Lab:
    """A cache with a source, a work tree, three kernels, their headers, and a module."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = Cache(folder / "cache")
        for made in (folder / "include", folder / "tests"):
            shutil.rmtree(made, ignore_errors=True)
        self.tree: SourceTree = toy_tree(self.cache, monkeypatch)
        self.arch: Arch = toy_arch()
        self.series: Series = two_patches(folder / "toy")
        self.config = fragment(folder / "kconfigs", "base", "CONFIG_SWITCH=y\nCONFIG_MODULES=y\n")
        self.include = folder / "include"
        self.include.mkdir()
        (self.include / "shared.h").write_text("#define SHARED 7\n")
        self.test = toy_test(folder / "tests", "one")
        self.kernels = [self.kernel(position) for position in self.series.positions]
        self.module()
        # As the end of the process that built it would.
        lease.end_all()
        kernel_devel.forget_headers()

    @property
    def store(self) -> Store:
        return Store(self.cache.store)

    def kernel(self, position: int) -> Kernel:
        return build_kernel(
            self.tree, self.series, position, self.arch, (self.config,), self.cache, ignore
        )

    def module(self) -> Path:
        return build_modules(
            self.kernels[0], self.arch, (self.test,), self.include, self.cache, ignore
        )["one"]

    def entries(self, kind: str) -> set[str]:
        return {folder.name for folder in (self.cache.store / kind).glob("[!.]*")}


def flip(file: Path, *, keep_time: bool = False) -> None:
    """Flip a bit of *file* in place: every hard link to it sees that."""
    before = file.stat()
    with file.open("r+b") as stream:
        byte = stream.read(1)[0]
        stream.seek(0)
        stream.write(bytes((byte ^ 1,)))
    if keep_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def age(path: Path, days: float) -> None:
    past = time.time() - days * 86400
    os.utime(path, (past, past))
