# SPDX-License-Identifier: GPL-2.0-only
"""Prune of the cache: the least recently used entries go first.

Entries in use by a running harness stay, and so does all that a staying entry needs. An entry is
renamed aside while no process can take a lease, and removed after that, so no reader finds half
of one.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.cache import ccache
from harness.cache.inventory import CCACHE, UNTOUCHED_S, Item, Stock
from harness.cache.lease import taking_away
from harness.host.paths import Cache
from harness.model.errors import UserError
from harness.model.events import Report, Stage

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_NAMES = ("KiB", "MiB", "GiB", "TiB")
_SPANS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def parse_size(text: str) -> int:
    """Return the bytes that *text* means: ``20G``, ``512M``; K, M, G and T are powers of 1024.

    Raises:
        UserError: it means nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UserError(f"'{text}' is no size", hint="write 20G or 512M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def size_text(size: int) -> str:
    """Return *size* bytes for a person: ``19.5 GiB``."""
    value = float(size)
    for name in _NAMES:
        value /= 1024
        if value < 1023.95 or name == _NAMES[-1]:
            break
    return f"{value:.1f} {name}"


def parse_age(text: str) -> float:
    """Return the seconds that *text* means: ``14d``, ``12h``, ``30m``, ``2w``.

    Raises:
        UserError: it means nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text.strip())
    if match is None:
        raise UserError(f"'{text}' is no age", hint="write 14d, 12h or 2w")
    return float(match[1]) * _SPANS[match[2]]


@dataclass(frozen=True)
class Choice:
    """Entries to remove, in order, and the cache's size before and after."""

    items: tuple[Item, ...]
    before: int  # bytes
    after: int  # bytes


def choose(
    stock: Stock,
    in_use: Collection[Path],
    *,
    size: int | None = None,
    unused_since: float | None = None,
    now: float | None = None,
) -> Choice:
    """Choose entries last used before *unused_since*, and then more, down to *size* bytes.

    An entry counts as used whenever one that needs it was, so it never goes before that one.
    """
    now = time.time() if now is None else now
    kept = kept_by(stock.items, in_use)
    kept |= kept_by(
        stock.items,
        [i.path for i in stock.items if i.unleased and i.last_used > now - UNTOUCHED_S],
    )
    ages = _ages(stock.items)
    names = Counter(inode for item in stock.items for inode in item.shared)
    left = stock.size
    chosen = []
    for item in sorted(stock.items, key=lambda item: (*ages[item.path], str(item.path))):
        if item.path in kept:
            continue
        used, _ = ages[item.path]
        old = unused_since is not None and used < unused_since
        if not old and (size is None or left <= size):
            continue
        chosen.append(item)
        left -= item.own
        names.subtract(item.shared.keys())
        left -= sum(size for inode, size in item.shared.items() if not names[inode])
    return Choice(tuple(chosen), stock.size, left)


def kept_by(items: Iterable[Item], roots: Collection[Path]) -> set[Path]:
    """Return *roots* and all that they need, and what that needs."""
    needs = {item.path: item.needs for item in items}
    kept: set[Path] = set()
    pending = list(roots)
    while pending:
        path = pending.pop()
        if path not in kept:
            kept.add(path)
            pending += needs.get(path, ())
    return kept


def _ages(items: Sequence[Item]) -> dict[Path, tuple[float, int]]:
    """Return when each was last used, needed ones with what needs them, and its place in a tie."""
    ages = {item.path: (item.last_used, 0) for item in items}
    needy = {item.path: item for item in items if item.needs}
    pending = list(needy.values())
    while pending:
        item = pending.pop()
        used, rank = ages[item.path]
        for path in item.needs & ages.keys():
            later = max(ages[path], (used, rank + 1))
            if later != ages[path] and rank < len(needy):  # a ring of needs must end
                ages[path] = later
                pending += [needy[path]] if path in needy else []
    return ages


# ---------------------------------------------------------------- removing


@dataclass(frozen=True)
class Removed:
    """Entries that were removed, and those that stayed because they are in use by now."""

    gone: tuple[Item, ...]
    in_use: tuple[Item, ...]


def remove(
    items: Sequence[Item],
    stock: Stock,
    cache: Cache,
    report: Report,
    still: Callable[[Item], bool] = lambda _: True,
) -> Removed:
    """Remove *items*, chosen from *stock*, but for those in use by now.

    *still* decides about each at last, while no process can take a lease.
    """
    gone: list[Item] = []
    used: list[Item] = []
    aside: list[Path] = []
    plain = [item for item in items if item.kind != CCACHE]
    for section in dict.fromkeys(item.section for item in plain):
        with taking_away(section) as names:
            kept = kept_by(stock.items, [section / name for name in names])
            for item in (item for item in plain if item.section == section):
                if item.path in kept:
                    used.append(item)
                elif still(item) and (moved := _aside(item)) is not None:
                    aside.append(moved)
                    gone.append(item)
            _drop_empty({item.path.parent for item in gone} - {section}, kept)
    gone += _evict([item for item in items if item.kind == CCACHE], cache)
    for done, path in enumerate(aside):
        report(Stage("cache prune", "removing what is to go", done, len(aside)))
        _delete(path)
    if aside:
        report(Stage("cache prune", "removed", len(aside), len(aside), finished=True))
    return Removed(tuple(gone), tuple(used))


def _aside(item: Item) -> Path | None:
    """Take *item* out of its place; None if it is not there any more."""
    new = item.section / ".new" / f"gone-{secrets.token_hex(6)}"
    new.parent.mkdir(exist_ok=True)
    try:
        item.path.rename(new)
    except FileNotFoundError:
        return None
    return new


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _drop_empty(folders: set[Path], kept: set[Path]) -> None:
    """Remove folders that are empty now, unless a leased entry is about to be put there."""
    for folder in folders - {path.parent for path in kept}:
        with suppress(OSError):  # not empty, or gone
            folder.rmdir()


def _evict(items: list[Item], cache: Cache) -> list[Item]:
    """Let ccache remove all results as old as *items*, so that its counters stay true."""
    if not items:
        return []
    newest = max(item.last_used for item in items)
    return items if ccache.evict(cache, time.time() - newest) else []
