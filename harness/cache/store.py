# SPDX-License-Identifier: GPL-2.0-only
"""Finished results by content key; an entry is there whole or not at all.

``root/<kind>/<key>/`` holds the files of one result and a manifest of them. An entry is filled in
a folder beside and renamed into place, so neither a crash nor a second process can show half of
one; an entry that no longer fits its manifest counts as absent and is replaced.

Contents are verified when an entry is used, so that a flipped bit in a kernel image never passes
for a kernel that fails. A small entry is read each time. Of a large one the inodes, sizes and
change times are noted after a full reading: while they stay, no process has written to it, and it
is read again only once a day, for faults of the disk.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cache.lease import use
from harness.host import process
from harness.host.disk_space import clear_when_full
from harness.host.files import digest_files, files_below, key_of, sha256_of, write_whole

MANIFEST = ".manifest.json"
STAMP = ".verified.json"
# Reading that much takes less than 2 ms, so such an entry is read at each use.
_SMALL_BYTES = 2**20
_SMALL_FILES = 64
_TRUST_S = 24 * 3600.0
# File times come from a clock that ticks (10 ms at HZ=100): two writes within one tick look the
# same, so only a file that was at rest for longer is known by its change time.
_TICK_S = 0.02
_TOUCH_S = 300.0  # last-used times are kept this exact
_STALE_S = 24 * 3600.0  # a folder filled for longer was left by a process that died


def digest_kept(folder: Path) -> str:
    """Return a digest over what was kept in *folder*, the entry of a store or a folder right in it.

    By the manifest, because a program at work there (make) may have files of its own in it. A
    folder without a manifest is read.
    """
    entry = folder if (folder / MANIFEST).is_file() else folder.parent
    try:
        manifest = json.loads((entry / MANIFEST).read_text())
        kept = {**manifest["files"], **manifest["links"]}
    except (OSError, ValueError, KeyError, TypeError):
        return digest_files(folder)
    below = "" if folder == entry else f"{folder.name}/"
    return key_of(*(f"{name} {kept[name]}" for name in sorted(kept) if name.startswith(below)))


@contextmanager
def hold(folder: Path, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock *name* kept in *folder*; *on_wait* is called once if another holder has it."""
    import filelock  # only where something is made: it brings asyncio with it

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if on_wait is not None:
            on_wait()
        while not lock.is_locked:
            process.raise_if_stopping()
            with suppress(filelock.Timeout):
                lock.acquire(timeout=process.TICK_S)
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Store:
    """Results below *root*; safe for several threads and processes."""

    root: Path

    def get(self, kind: str, key: str, *, verify: bool = False) -> Path | None:
        """Return the folder of an entry, None where there is none or it is damaged.

        The entry is leased: no prune removes it while this process lives. With *verify* all of it
        is read again.
        """
        folder = self.root / kind / key
        if not folder.is_dir():
            return None
        use(self.root, f"{kind}/{key}")
        if damage(folder, read_all=verify):
            return None
        touch(folder / MANIFEST)
        return folder

    def damage(self, kind: str, key: str) -> str:
        """Return what is wrong with an entry, "" where it is whole or there is none."""
        folder = self.root / kind / key
        return damage(folder) if folder.is_dir() else ""

    def put(self, kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        """Let *fill* write an entry into an empty folder and keep it; return the entry's folder.

        An intact entry that came first (another process was quicker) is kept instead.

        Raises:
            InfraError: the disk is full. Errors of *fill* pass through; nothing is kept.
        """
        final = self.root / kind / key
        waiting = self.root / ".new"
        with clear_when_full(self.root, f"a result ({kind})"):
            waiting.mkdir(parents=True, exist_ok=True)
            _sweep(waiting)
            new = waiting / f"{kind}-{key[:12]}-{secrets.token_hex(6)}"
            new.mkdir(parents=True)  # a prune takes the folder around it away when it is empty
            try:
                fill(new)
                _seal(new)
                use(self.root, f"{kind}/{key}")
                final.parent.mkdir(parents=True, exist_ok=True)
                _place(new, final, waiting)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return final

    def drop(self, kind: str, key: str) -> None:
        """Remove an entry, if it is there: for results that are not needed again."""
        waiting = self.root / ".new"
        waiting.mkdir(parents=True, exist_ok=True)
        # Aside by rename first: no reader sees half of it.
        aside = waiting / f"dropped-{secrets.token_hex(6)}"
        try:
            (self.root / kind / key).rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside, ignore_errors=True)

    def lock(
        self, name: str, on_wait: Callable[[], None] | None = None
    ) -> AbstractContextManager[None]:
        """Return the lock *name* of this store, to be held over check and put."""
        return hold(self.root / ".locks", name, on_wait)


def _place(new: Path, final: Path, waiting: Path) -> None:
    """Rename *new* to *final*, unless an intact entry is there already."""
    while True:
        try:
            new.rename(final)
            return
        except OSError:
            if not final.exists():
                raise
        if not damage(final, read_all=True):
            return
        # Aside by rename first: a damaged entry must not be seen half removed.
        aside = waiting / f"damaged-{secrets.token_hex(6)}"
        try:
            final.rename(aside)
        except FileNotFoundError:
            continue  # another process was replacing it too
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(waiting: Path) -> None:
    """Remove what processes that died left behind long ago."""
    horizon = time.time() - _STALE_S
    for folder in waiting.iterdir():
        try:
            stale = folder.stat().st_mtime < horizon
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- manifests


def last_used(folder: Path) -> float:
    """Return when an entry was last got or put, seconds since the epoch, exact to 5 minutes."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except OSError:
        return folder.stat().st_mtime


def touch(file: Path) -> None:
    """Let *file* say by its time that it was used now."""
    with suppress(OSError):
        if time.time() - file.stat().st_mtime > _TOUCH_S:
            os.utime(file)


def links_of(folder: Path) -> dict[str, str]:
    """Return the symbolic links of an entry, name → target; none where it has no manifest."""
    try:
        links = json.loads((folder / MANIFEST).read_text())["links"]
        return {str(name): str(target) for name, target in links.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _seal(folder: Path) -> None:
    """Write the manifest of a finished entry. What is written has just been read."""
    files: dict[str, list[Any]] = {}
    links: dict[str, str] = {}
    # The lists of an entry that was copied here (a cell's folder) say nothing about this one.
    for name in (MANIFEST, STAMP):
        (folder / name).unlink(missing_ok=True)
    paths = files_below(folder)
    sizes = [path.lstat().st_size for path in paths]
    small = _is_small(sizes)
    if not small:
        time.sleep(_TICK_S)
    begun = time.time()
    looks: list[str] = []
    for path, size in zip(paths, sizes, strict=True):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            links[name] = str(path.readlink())
        else:
            looks.append(_look(name, path.lstat()))
            files[name] = [size, sha256_of(path)]
    (folder / MANIFEST).write_text(json.dumps({"files": files, "links": links}))
    if not small:
        _stamp(folder, looks, begun)


def damage(folder: Path, *, read_all: bool = False) -> str:
    """Return in what the entry in *folder* does not fit its manifest, "" if it does.

    With *read_all* nothing is taken on trust.
    """
    begun = time.time()
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        files = {
            str(name): (int(size), str(sha)) for name, (size, sha) in manifest["files"].items()
        }
        links = {str(name): str(to) for name, to in manifest["links"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its manifest cannot be read"
    try:
        looks, newest = _look_at(f"{folder}/", files, links)
        small = _is_small([size for size, _ in files.values()])
        if not read_all and not small and _stamped(folder, looks, begun):
            return ""
        if not small and newest + _TICK_S > begun:
            time.sleep(_TICK_S)
            begun = time.time()
        for name, (_, sha256) in files.items():
            if sha256_of(folder / name) != sha256:
                return f"the content of {name} is not what was written"
    except _Unfit as unfit:
        return str(unfit)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not small and newest + _TICK_S <= begun:
        with suppress(OSError):  # a full disk: it will be read again next time
            _stamp(folder, looks, begun)
    return ""


class _Unfit(Exception):
    """Something is not as the manifest says."""


def _look_at(
    top: str, files: dict[str, tuple[int, str]], links: dict[str, str]
) -> tuple[list[str], float]:
    """Check kinds, sizes and link targets; return the look of every file, and the newest change."""
    looks: list[str] = []
    newest = 0.0
    # Plain strings: an entry may have thousands of files, and a Path for each takes longer.
    try:
        for name, (size, _) in files.items():
            status = os.lstat(top + name)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                raise _Unfit(f"{name} is not a file of {size} bytes")
            looks.append(_look(name, status))
            newest = max(newest, status.st_ctime)
        for name, target in links.items():
            if os.readlink(top + name) != target:  # noqa: PTH115
                raise _Unfit(f"{name} does not point to {target}")
    except OSError as error:
        raise _Unfit(f"{name}: {error.strerror}") from None
    return looks, newest


def _is_small(sizes: list[int]) -> bool:
    return len(sizes) <= _SMALL_FILES and sum(sizes) <= _SMALL_BYTES


def _look(name: str, status: os.stat_result) -> str:
    """Return the facts of a file that any write changes: its change time cannot be set."""
    return f"{name} {status.st_size} {status.st_ino} {status.st_ctime_ns}"


def _one_look(looks: list[str]) -> str:
    return key_of("\n".join(sorted(looks)))


def _stamp(folder: Path, looks: list[str], when: float) -> None:
    """Note that all of an entry was read at *when* and was as it should be."""
    write_whole(folder / STAMP, json.dumps({"look": _one_look(looks), "when": when}))


def _stamped(folder: Path, looks: list[str], now: float) -> bool:
    try:
        stamp = json.loads((folder / STAMP).read_text())
        recent = 0 <= now - float(stamp["when"]) < _TRUST_S
        return recent and bool(stamp["look"] == _one_look(looks))
    except (OSError, ValueError, KeyError, TypeError):
        return False
