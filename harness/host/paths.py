# SPDX-License-Identifier: GPL-2.0-only
"""The only module that knows the folders: of the checkout, of the cache, of a run."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness.model.errors import UserError
from harness.model.text import one_line, visible

APP = "kernel-patch-harness"
FACTS = "source.json"
# What make, kbuild's rules or a shell that they run take for something else than a part of a path.
_NOT_FOR_KBUILD = re.compile(r"""[\s\x00-\x1f,:"'#$%&;()<>|*`\\]|\[.*\]""")


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
    """Return the cache in the XDG cache folder, or in ``$KERNEL_PATCH_HARNESS_CACHE`` if set.

    Raises:
        UserError: as :func:`cache_at`.
    """
    chosen = os.environ.get("KERNEL_PATCH_HARNESS_CACHE")
    if chosen:
        return cache_at(Path(chosen), "KERNEL_PATCH_HARNESS_CACHE")
    return cache_at(platformdirs.user_cache_path(APP), "--cache")


def cache_at(folder: Path, option: str) -> Cache:
    """Return the cache in *folder*, which need not be there yet; *option* is what named it.

    Raises:
        UserError: there is something else.
    """
    _require_no_file(folder, option)
    return Cache(folder.resolve())


def require_usable(cache: Cache) -> None:
    """Check that kernels can be built in *cache*.

    Raises:
        UserError: it cannot be written, or make and kbuild cannot take its path.
    """
    path = str(cache.root)
    odd = _NOT_FOR_KBUILD.search(path)
    if odd or not _is_text(path):
        what = visible(os.fsencode(odd.group())) if odd else "what is no UTF-8"
        raise UserError(
            f"the cache's path holds {what!r}, which a kernel's build cannot take: "
            f"{one_line(visible(os.fsencode(path)))}",
            hint="move the cache to a path of letters, digits and -_.+@=~: --cache FOLDER, or "
            "KERNEL_PATCH_HARNESS_CACHE",
        )
    require_writable(cache.root, "--cache")


def require_writable(folder: Path, option: str) -> None:
    """Check that *folder* is there or can be made, and be written into; *option* gives another.

    Raises:
        UserError: there is something else, or nothing can be written there.
    """
    above = _require_no_file(folder, option)
    try:
        # Permissions do not tell all: root has every one, and makes nothing in /proc.
        with tempfile.TemporaryDirectory(prefix=".kph-", dir=above):
            pass
    except OSError as error:
        where = folder if above == folder.absolute() else f"{folder}, which is not there yet"
        why = "is full" if error.errno == errno.ENOSPC else "is read-only, or another user's"
        raise UserError(
            f"nothing can be written in {where}: {above} {why}",
            hint=f"give another place: {option} FOLDER",
        ) from error


def _require_no_file(folder: Path, option: str) -> Path:
    """Return what there is of *folder*: itself, or the lowest folder above it."""
    whole = folder.absolute()
    above = next(p for p in (whole, *whole.parents) if os.path.lexists(p))
    if not os.path.isdir(above):  # noqa: PTH112 (where it may not be looked at, it is no folder)
        raise UserError(
            f"{option} names {folder}, and {above} is no folder",
            hint="name a folder, which need not be there yet",
        )
    return above


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
