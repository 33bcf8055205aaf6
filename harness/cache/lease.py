# SPDX-License-Identifier: GPL-2.0-only
"""Who uses what of the cache, so that a prune beside a run takes nothing from under it.

A *shelf* is a folder of the cache whose entries come and go one by one. Each process writes the
names of what it uses there into a file of its own, which it holds locked until it ends, however
it ends: the kernel lets go of the lock. Whoever removes entries reads these files first.

The order makes it sound. A user takes the lease first and looks whether the entry is there
second; a remover holds the shelf's guard from reading the leases to the last rename. So a user
that comes late finds nothing, which is what a cache may always say, and never half of something.
No clock is in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.host.disk_space import clear_when_full

LEASES = ".leases"
_GUARD = "guard.lock"


class _Lease:
    """What this process uses of one shelf."""

    def __init__(self, shelf: Path) -> None:
        self._folder = shelf / LEASES
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.lease"

    def take(self, name: str) -> None:
        if name in self._names:  # the way of nearly every call: a set is all it costs
            return
        with self._lock, clear_when_full(self._folder, "the list of what is in use"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with _guarded(self._folder, fcntl.LOCK_SH):
                if self._fd is None:
                    self._fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                    fcntl.flock(self._fd, fcntl.LOCK_EX)
                os.write(self._fd, f"{name}\n".encode())
            self._names.add(name)

    def end(self) -> None:
        with self._lock:
            if self._fd is not None:
                with suppress(OSError):
                    self._file.unlink()
                os.close(self._fd)
                self._fd = None
            self._names.clear()


_leases: dict[tuple[int, Path], _Lease] = {}
_leases_lock = threading.Lock()


def use(shelf: Path, name: str) -> None:
    """Keep the entry *name* of *shelf* from being removed by others until this process ends.

    To be called before it is looked whether the entry is there.

    Raises:
        InfraError: the disk is full.
    """
    key = (os.getpid(), shelf)  # a forked child has leases of its own
    lease = _leases.get(key)
    if lease is None:
        with _leases_lock:
            lease = _leases.setdefault(key, _Lease(shelf))
    lease.take(name)


def end_all() -> None:
    """Give up everything this process uses, as its end would."""
    with _leases_lock:
        mine = [key for key in _leases if key[0] == os.getpid()]
        for key in mine:
            _leases.pop(key).end()


def in_use(shelf: Path) -> frozenset[str]:
    """Return the names that processes use of *shelf* at this moment."""
    folder = shelf / LEASES
    if not folder.is_dir():
        return frozenset()
    with _guarded(folder, fcntl.LOCK_SH):
        return frozenset().union(*_held(folder).values())


@contextmanager
def taking_away(shelf: Path) -> Iterator[frozenset[str]]:
    """Yield what is in use of *shelf*; inside the block nobody begins to use anything of it."""
    folder = shelf / LEASES
    folder.mkdir(parents=True, exist_ok=True)
    with _guarded(folder, fcntl.LOCK_EX):
        held = _held(folder)
        # Only here: elsewhere a file without a lock may be one that its process is about to lock.
        for file in set(folder.glob("*.lease")) - held.keys():
            file.unlink(missing_ok=True)
        yield frozenset().union(*held.values())


@contextmanager
def _guarded(folder: Path, how: int) -> Iterator[None]:
    # Opened anew each time: threads that share an open file would share its lock.
    fd = os.open(folder / _GUARD, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def _held(folder: Path) -> dict[Path, list[str]]:
    """Return the names in each lease whose process lives. The guard is held."""
    held: dict[Path, list[str]] = {}
    for file in folder.glob("*.lease"):
        try:
            fd = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # By what was opened: its process may end just now, and take the name away.
            with os.fdopen(os.dup(fd)) as lease:
                held[file] = lease.read().splitlines()
        finally:
            os.close(fd)
    return held
