# SPDX-License-Identifier: GPL-2.0-only
"""Reading all of the cache, to find what is not what was written there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from harness import host, process
from harness.apt import digest_file
from harness.events import Event, Stage
from harness.inventory import Item, Stock
from harness.layout import Cache
from harness.source import damage as source_damage
from harness.store import damage as entry_damage
from harness.store import sha256_of

Report = Callable[[Event], None]


@dataclass(frozen=True)
class Damaged:
    """An entry that is not what it was, and what of it."""

    item: Item
    what: str  # one line
    inode: int

    @property
    def still_there(self) -> bool:
        """Whether what was read is what is there now, and not a new one in its place."""
        return _inode(self.item.path) == self.inode


def _inode(path: Path) -> int:
    """Return what tells an entry from a later one of its name; 0: it is not there."""
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def inspect(cache: Cache, stock: Stock, report: Report) -> tuple[Damaged, ...]:
    """Read every entry that has digests and return the damaged ones, in the order of *stock*.

    ccache checks its own results when it takes one; package lists are apt's to check; a work tree
    shares its files with its source.
    """
    items = [item for item in stock.items if _checker(item, cache) is not None]
    follow = _Follow(report, sum(_size(item) for item in items))
    with futures.ThreadPoolExecutor(host.cores(), "verify") as pool:
        try:
            results = list(pool.map(lambda item: _check(item, cache, follow), items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    follow.end()
    return tuple(damaged for damaged in results if damaged is not None)


def _size(item: Item) -> int:
    return item.own + sum(item.shared.values())


class _Follow:
    """Bytes read so far, told as they come."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def more(self, text: str, count: int) -> None:
        with self._lock:
            self._done = min(self._total, self._done + count)
            self._report(Stage("cache verify", f"reading {text}", self._done, self._total))

    def end(self) -> None:
        self._report(Stage("cache verify", "all of it is read", self._total, self._total, True))


def _check(item: Item, cache: Cache, follow: _Follow) -> Damaged | None:
    checker = _checker(item, cache)
    inode = _inode(item.path)
    if checker is None or not inode:
        return None
    told = 0
    text = f"{item.kind} {item.path.name[:16]}"

    def read(count: int) -> None:
        nonlocal told
        told += count
        follow.more(text, count)

    what = checker(item.path, read)
    follow.more(text, max(0, _size(item) - told))
    damaged = Damaged(item, what, inode)
    # Pruned or replaced while it was read: nothing is wrong with what is not there.
    return damaged if what and damaged.still_there else None


Checker = Callable[[Path, Callable[[int], None]], str]


def _checker(item: Item, cache: Cache) -> Checker | None:
    """Return what can tell whether *item* is whole."""
    if item.unleased:
        return None
    checkers: dict[Path, Checker] = {
        cache.store: lambda folder, _: entry_damage(folder, read_all=True),
        cache.sources: source_damage,
        cache.downloads: _download_damage,
    }
    return checkers.get(item.shelf)


def _download_damage(path: Path, _: Callable[[int], None]) -> str:
    if path.is_dir():
        done = process.run(("git", f"--git-dir={path}", "fsck", "--no-dangling", "--no-progress"))
        return "" if done.ok else f"git fsck: {done.stderr.strip().partition(chr(10))[0]}"
    try:
        wanted = digest_file(path).read_text().strip()
    except FileNotFoundError:
        return ""  # apt's index will tell, when it is used
    if wanted in ("", sha256_of(path)):
        return ""
    return "its content is not what was downloaded"
