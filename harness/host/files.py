# SPDX-License-Identifier: GPL-2.0-only
"""Files written whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import secrets
import stat
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Replace *file* atomically by one that holds *text*; its folder is made if need be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


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
        files = files_below(path) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path.parent if file == path else path).as_posix()
            if file.is_symlink():
                parts += (name, "link", str(file.readlink()))
            else:
                executable = "x" if file.stat().st_mode & stat.S_IXUSR else "-"
                parts += (name, executable, sha256_of(file))
        parts.append("end")
    return key_of(*parts)


def files_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_symlink() or p.is_file())
