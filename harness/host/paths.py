# SPDX-License-Identifier: GPL-2.0-only
"""The only module that knows the folders: of the checkout, of the cache, of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness.model.errors import UserError

APP = "kernel-patch-harness"


@dataclass(frozen=True)
class Checkout:
    """The top level of a checkout: what a person edits."""

    root: Path

    @property
    def kconfigs(self) -> Path:
        return self.root / "kconfigs"

    @property
    def patches(self) -> Path:
        return self.root / "patches"

    @property
    def guest_tests(self) -> Path:
        return self.root / "guest-tests"

    @property
    def tests(self) -> Path:
        """Guest tests, one folder each."""
        return self.guest_tests / "tests"

    @property
    def loads(self) -> Path:
        """Memory-pressure loads, one folder each."""
        return self.guest_tests / "loads"

    @property
    def load_library(self) -> Path:
        """C that the loads share."""
        return self.loads / "_lib"

    @property
    def include(self) -> Path:
        """C headers for the guest tests."""
        return self.guest_tests / "include"

    @property
    def init(self) -> Path:
        """C source of the guest's PID 1."""
        return self.guest_tests / "init"

    @property
    def runs(self) -> Path:
        """Finished and unfinished runs, newest by name; never committed."""
        return self.root / "runs"


@dataclass(frozen=True)
class Cache:
    """The user's cache folder: everything in it can be made again."""

    root: Path

    @property
    def apt(self) -> Path:
        """State, lists and archives of the harness' own apt instances."""
        return self.root / "apt"

    @property
    def downloads(self) -> Path:
        """Verified source archives and packages as they were fetched."""
        return self.root / "downloads"

    @property
    def sources(self) -> Path:
        """Pristine kernel trees, one folder each, named after their digest."""
        return self.root / "sources"

    @property
    def work(self) -> Path:
        """Work trees that patches are applied to, and build folders beside them."""
        return self.root / "work"

    @property
    def store(self) -> Path:
        """Finished results by content key: series, kernels, modules, programs, images."""
        return self.root / "store"

    @property
    def ccache(self) -> Path:
        return self.root / "ccache"

    @property
    def bench(self) -> Path:
        """The benchmark's peers and build folders."""
        return self.root / "bench"

    @property
    def locks(self) -> Path:
        return self.root / "locks"


def expanded(path: str) -> Path:
    """Return *path* with ``~`` and ``~user`` resolved; as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises RuntimeError)


def find_checkout(start: Path | None = None, *, only_there: bool = False) -> Checkout:
    """Return the checkout that holds *start* (default: the working folder), else this package's.

    A checkout is known by ``guest-tests/`` and ``kconfigs/`` standing side by side. With
    *only_there* it is the one that holds *start*, as asked for by name.

    Raises:
        UserError: no such folder above *start* nor above the installed package.
    """
    origins = [(start or Path.cwd()).resolve()]
    if not only_there:
        origins.append(Path(__file__).resolve().parent)
    for origin in origins:
        for folder in (origin, *origin.parents):
            if (folder / "guest-tests").is_dir() and (folder / "kconfigs").is_dir():
                return Checkout(folder)
    raise UserError(
        f"no checkout of the harness at or above {origins[0]}",
        hint="run inside the checkout, or pass --root FOLDER",
    )


def default_cache() -> Cache:
    """Return the cache in the XDG cache folder, or in ``$KERNEL_PATCH_HARNESS_CACHE`` if set."""
    chosen = os.environ.get("KERNEL_PATCH_HARNESS_CACHE")
    return Cache(Path(chosen) if chosen else platformdirs.user_cache_path(APP))


FACTS = "source.json"
