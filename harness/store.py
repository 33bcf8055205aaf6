# SPDX-License-Identifier: GPL-2.0-only
"""Finished results by content key: an entry is there whole, or it is not there.

``root/<kind>/<key>/`` holds the files of one result and a manifest of them. An entry is filled in
a folder beside and renamed into place, so neither a crash nor a second process can show half of
one; an entry that no longer fits its manifest counts as absent and is replaced.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.space import clear_when_full

MANIFEST = ".manifest.json"
_STALE_S = 24 * 3600.0  # a folder being filled for longer belongs to a process that died


def key_of(*parts: str) -> str:
    """Return the key that stands for *parts*, in order: 64 hex digits."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(b"%d:" % len(raw) + raw)
    return digest.hexdigest()


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file's content, hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(*paths: Path) -> str:
    """Return one digest over files and folders: names below each path, exec bits and contents.

    Where a path lies does not matter, only what it holds.
    """
    parts: list[str] = []
    for path in paths:
        files = _files_below(path) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path.parent if file == path else path).as_posix()
            if file.is_symlink():
                parts += (name, "link", str(file.readlink()))
            else:
                executable = "x" if file.stat().st_mode & stat.S_IXUSR else "-"
                parts += (name, executable, sha256_of(file))
        parts.append("end")
    return key_of(*parts)


def _files_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_symlink() or p.is_file())


def write_atomically(file: Path, text: str) -> None:
    """Replace *file* by one that holds *text*; a reader sees the old or the new one, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        new.write_text(text)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def hold(folder: Path, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock *name* kept in *folder*; *on_wait* is called once if somebody else has it."""
    import filelock  # only where something is made: it brings asyncio with it

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
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

        Sizes and link targets are always checked; with *verify*, contents too.
        """
        folder = self.root / kind / key
        return folder if _intact(folder, verify) else None

    def put(self, kind: str, key: str, fill: Callable[[Path], None]) -> Path:
        """Let *fill* write an entry into an empty folder and keep it; return the entry's folder.

        An intact entry that came first (another process was quicker) is kept instead.

        Raises:
            InfraError: the disk is full. Whatever *fill* raises passes through; nothing is kept.
        """
        final = self.root / kind / key
        waiting = self.root / ".new"
        with clear_when_full(self.root, f"a result ({kind})"):
            waiting.mkdir(parents=True, exist_ok=True)
            _sweep(waiting)
            new = waiting / f"{kind}-{key[:12]}-{secrets.token_hex(6)}"
            new.mkdir()
            try:
                fill(new)
                (new / MANIFEST).write_text(json.dumps(_manifest(new)))
                final.parent.mkdir(parents=True, exist_ok=True)
                _place(new, final, waiting)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return final

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
        if _intact(final, verify=True):
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


def _manifest(folder: Path) -> dict[str, Any]:
    files: dict[str, list[Any]] = {}
    links: dict[str, str] = {}
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            links[name] = str(path.readlink())
        else:
            files[name] = [path.stat().st_size, sha256_of(path)]
    return {"files": files, "links": links}


def _intact(folder: Path, verify: bool) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name, (size, sha256) in manifest["files"].items():
            status = (folder / name).lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                return False
            if verify and sha256_of(folder / name) != sha256:
                return False
        return all(
            str((folder / name).readlink()) == target for name, target in manifest["links"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
