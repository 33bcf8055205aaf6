# SPDX-License-Identifier: GPL-2.0-only
"""Inventory of the cache: every entry with its size on disk, its last use, and its needs.

No list of kinds: each folder of the store is one, and so is any folder of the cache that
:mod:`harness.host.paths` does not name.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.cache.lease import in_use
from harness.cache.store import last_used, links_of
from harness.host.paths import FACTS, Cache

CCACHE = "ccache"
SOURCES = "sources"
UNFINISHED = "unfinished"  # being filled now, or left by a process that died
UNTOUCHED_S = 24 * 3600.0  # no process fills a folder for longer
Inode = tuple[int, int]


@dataclass(frozen=True)
class Item:
    """One entry of the cache, removed whole or not at all."""

    kind: str
    path: Path
    section: Path  # the folder whose leases speak of it
    last_used: float  # seconds since the epoch
    own: int  # bytes on disk in files that have no other name
    shared: Mapping[Inode, int] = field(default_factory=dict)  # bytes in hard-linked ones
    needs: frozenset[Path] = frozenset()  # entries without which this one is worth nothing
    # Its users take no lease: it may go once it was not touched for UNTOUCHED_S.
    unleased: bool = False

    @property
    def name(self) -> str:
        """Name of it in leases."""
        return self.path.relative_to(self.section).as_posix()


@dataclass(frozen=True)
class Stock:
    """All of a cache, as it was found."""

    items: tuple[Item, ...]
    other: int  # bytes in locks, leases and indexes

    @property
    def size(self) -> int:
        """Bytes on disk, each file counted once whatever names it has."""
        return self.other + size_of(self.items)

    def in_use(self) -> frozenset[Path]:
        """Return the paths of what running harnesses use now."""
        sections = {item.section for item in self.items}
        return frozenset(section / name for section in sections for name in in_use(section))

    def by_kind(self) -> tuple[KindOf, ...]:
        """Return one line per kind; a file with several names counts where it comes first."""
        kinds: dict[str, list[Item]] = {}
        for item in self.items:
            kinds.setdefault(item.kind, []).append(item)
        seen: set[Inode] = set()
        lines = []
        for kind, items in kinds.items():
            size = sum(item.own for item in items)
            for item in items:
                size += sum(size for inode, size in item.shared.items() if inode not in seen)
                seen.update(item.shared)
            lines.append(KindOf(kind, len(items), size, max(item.last_used for item in items)))
        return tuple(lines)


@dataclass(frozen=True)
class KindOf:
    """Sum over one kind."""

    kind: str
    entries: int
    size: int  # bytes
    last_used: float


def size_of(items: tuple[Item, ...]) -> int:
    """Return the bytes that *items* take on disk together."""
    shared: dict[Inode, int] = {}
    for item in items:
        shared |= item.shared
    return sum(item.own for item in items) + sum(shared.values())


def take_stock(cache: Cache) -> Stock:
    """Return what is in *cache* now; what comes and goes meanwhile may be in it or not."""
    known: tuple[tuple[Path, Callable[[Cache], Iterator[Item]]], ...] = (
        # First what others are linked from: there it is counted.
        (cache.sources, _sources),
        (cache.downloads, _downloads),
        (cache.apt, _apt),
        (cache.store, _store),
        (cache.work, _work),
        (cache.ccache, _ccache),
    )
    items = [item for folder, list_them in known if folder.is_dir() for item in list_them(cache)]
    named = {folder for folder, _ in known} | {cache.locks}
    for folder in _folders(cache.root):
        if folder not in named:
            items += [_item(folder.name, f, folder, unleased=True) for f in _visible(folder)]
    for section, _ in known:
        items += _unfinished(section)
    rest, shared = _measure(cache.root, besides=frozenset(str(item.path) for item in items))
    return Stock(tuple(items), rest + sum(shared.values()))


# ---------------------------------------------------------------- kinds


def _sources(cache: Cache) -> Iterator[Item]:
    for folder in _folders(cache.sources):
        if (folder / "tree").is_dir():
            used = _time(folder / FACTS)
            yield _item(SOURCES, folder, cache.sources, used)


def _downloads(cache: Cache) -> Iterator[Item]:
    for path in _visible(cache.downloads):
        yield _item("downloads", path, cache.downloads)


def _apt(cache: Cache) -> Iterator[Item]:
    for folder in _folders(cache.apt):
        yield _item("apt", folder, cache.apt, _time(folder / "updated.json"))


def _store(cache: Cache) -> Iterator[Item]:
    for kind in _folders(cache.store):
        for folder in _folders(kind):
            try:
                used = last_used(folder)
            except FileNotFoundError:
                continue
            needs = _pointed_to(folder, cache.store)
            yield _item(kind.name, folder, cache.store, used, needs=needs)


def _pointed_to(folder: Path, store: Path) -> frozenset[Path]:
    """Return the other entries of *store* that the entry in *folder* has links into."""
    found = set()
    for name, target in links_of(folder).items():
        aim = Path(os.path.normpath(folder / Path(name).parent / target))
        if aim.is_relative_to(store):
            found.add(store.joinpath(*aim.relative_to(store).parts[:2]))
    return frozenset(found - {folder})


def _work(cache: Cache) -> Iterator[Item]:
    """Work trees lie in the folder of their source; what lies beside was left by a build."""
    digest = re.compile(r"[0-9a-f]{12}")
    sources = _folders(cache.sources) if cache.sources.is_dir() else []
    for top in _visible(cache.work):
        if not digest.fullmatch(top.name):
            yield _item("build leftovers", top, cache.work, unleased=True)
            continue
        needs = frozenset(s for s in sources if s.name.startswith(top.name))
        for folder in _folders(top):
            used = _time(folder / "state.json")
            yield _item("work trees", folder, cache.work, used, needs=needs)


def _ccache(cache: Cache) -> Iterator[Item]:
    """Each result is one: ccache gives a file the time of its last use."""
    for folder, _, names in os.walk(cache.ccache):
        for name in names:
            if name[-1] in "RM":
                yield _item(CCACHE, Path(folder, name), cache.ccache)


def _unfinished(section: Path) -> Iterator[Item]:
    if not section.is_dir():
        return
    for path in section.glob(".new*"):
        for part in _visible(path, hidden=True) if path.name == ".new" else [path]:
            yield _item(UNFINISHED, part, section, unleased=True)


# ---------------------------------------------------------------- the disk


def _item(
    kind: str,
    path: Path,
    section: Path,
    used: float = 0.0,
    *,
    needs: frozenset[Path] = frozenset(),
    unleased: bool = False,
) -> Item:
    own, shared = _measure(path)
    return Item(kind, path, section, used or _time(path), own, shared, needs, unleased)


def _measure(path: Path, besides: Collection[str] = frozenset()) -> tuple[int, dict[Inode, int]]:
    """Return the bytes allocated below *path*: of plain files, and by inode of linked ones.

    What *besides* names is left out, with all below it.
    """
    own = 0
    shared: dict[Inode, int] = {}
    pending = [str(path)]
    while pending:
        here = pending.pop()
        try:
            status = os.lstat(here)
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(here) as entries:
                    pending += [e.path for e in entries if e.path not in besides]
        except OSError:  # gone meanwhile
            continue
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            shared[status.st_dev, status.st_ino] = status.st_blocks * 512
        else:
            own += status.st_blocks * 512
    return own, shared


def _time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time() if not path.parent.exists() else path.parent.lstat().st_mtime


def _folders(path: Path) -> list[Path]:
    return [child for child in _visible(path) if child.is_dir() and not child.is_symlink()]


def _visible(path: Path, *, hidden: bool = False) -> list[Path]:
    try:
        return sorted(child for child in path.iterdir() if hidden or child.name[0] != ".")
    except OSError:
        return []
