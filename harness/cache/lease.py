# SPDX-License-Identifier: GPL-2.0-only
"""Leases on entries of the cache: a prune beside a run removes nothing that the run uses.

A *section* is a folder of the cache whose entries come and go one by one. Each process writes the
names of the entries it uses there into a lease file, which it holds locked until it ends; however
it ends, the kernel releases the lock. A remover reads these files first.

The order makes it sound. A user takes the lease first and looks for the entry second; a remover
holds the section's guard from reading the leases to the last rename. A late user finds no entry,
never half of one. No clock is involved.
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
    """Lease of this process on one section."""

    def __init__(self, section: Path) -> None:
        self._folder = section / LEASES
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.lease"

    def take(self, name: str) -> None:
        if name in self._names:  # nearly every call ends here, without a lock
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


def use(section: Path, name: str) -> None:
    """Lease the entry *name* of *section* until this process ends.

    To be called before looking for the entry.

    Raises:
        InfraError: the disk is full.
    """
    key = (os.getpid(), section)  # a forked child has leases of its own
    lease = _leases.get(key)
    if lease is None:
        with _leases_lock:
            lease = _leases.setdefault(key, _Lease(section))
    lease.take(name)


def end_all() -> None:
    """End all leases of this process, as its end would."""
    with _leases_lock:
        mine = [key for key in _leases if key[0] == os.getpid()]
        for key in mine:
            _leases.pop(key).end()


def in_use(section: Path) -> frozenset[str]:
    """Return the names that processes use of *section* at this moment."""
    folder = section / LEASES
    if not folder.is_dir():
        return frozenset()
    with _guarded(folder, fcntl.LOCK_SH):
        return frozenset().union(*_held(folder).values())


@contextmanager
def taking_away(section: Path) -> Iterator[frozenset[str]]:
    """Yield the names in use of *section*; no process takes a lease on it inside the block."""
    folder = section / LEASES
    folder.mkdir(parents=True, exist_ok=True)
    with _guarded(folder, fcntl.LOCK_EX):
        held = _held(folder)
        # Only under the exclusive guard: else a file without a lock may be about to get one.
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
            # Through the open file: its process may end now and unlink the name.
            with os.fdopen(os.dup(fd)) as lease:
                held[file] = lease.read().splitlines()
        finally:
            os.close(fd)
    return held
