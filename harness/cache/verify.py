# SPDX-License-Identifier: GPL-2.0-only
"""Verification of the cache: every entry with digests is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from harness.cache.inventory import Item, Stock
from harness.host import resources
from harness.model.events import Report, Stage

# Takes an entry's path and a function that is told each count of bytes read; returns the damage, ""
# for none.
Checker = Callable[[Path, Callable[[int], None]], str]


@dataclass(frozen=True)
class Damaged:
    """A damaged entry."""

    item: Item
    what: str  # the damage, one line
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


def inspect(stock: Stock, checkers: Mapping[Path, Checker], report: Report) -> tuple[Damaged, ...]:
    """Read every entry that has digests and return the damaged ones, in the order of *stock*.

    *checkers* are by the section whose entries they know.

    ccache checks its own results when it takes one; package lists are apt's to check; a work tree
    shares its files with its source.
    """
    items = [i for i in stock.items if i.section in checkers and not i.unleased]
    follow = _Follow(report, sum(_size(item) for item in items))
    with futures.ThreadPoolExecutor(resources.cores(), "verify") as pool:
        try:
            results = list(
                pool.map(lambda item: _check(item, checkers[item.section], follow), items)
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    follow.end()
    return tuple(damaged for damaged in results if damaged is not None)


def _size(item: Item) -> int:
    return item.own + sum(item.shared.values())


class _Follow:
    """Progress in bytes read."""

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


def _check(item: Item, checker: Checker, follow: _Follow) -> Damaged | None:
    inode = _inode(item.path)
    if not inode:
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
