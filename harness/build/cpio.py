# SPDX-License-Identifier: GPL-2.0-only
"""Writes initramfs archives: cpio in the "newc" format that the kernel unpacks.

Our own, because the result must be the same bytes for the same content (its digest is part of a
verdict's key): the cpio program records the times, owners and inode numbers of files on this
host, in the order of a directory listing, and needs root for device nodes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

_ALIGN = 4
_LAST = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file of an archive, owned by root."""

    path: str  # below the root, with or without a leading slash
    mode: int  # type and permissions, as in st_mode
    content: bytes = b""  # of a file; the target of a symlink
    device: tuple[int, int] = (0, 0)  # major, minor of a device node


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, stat.S_IFDIR | mode)


def regular(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, stat.S_IFREG | mode, content)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    return Entry(path, stat.S_IFCHR | mode, device=(major, minor))


def write_cpio(entries: Iterable[Entry], out: BinaryIO) -> None:
    """Write an archive of *entries*: sorted by path, missing parent folders made.

    Archives can be concatenated: the kernel unpacks one after the other.

    Raises:
        ValueError: two entries have the same path, a path leaves the root, or it is the name that
            ends an archive: the kernel would look at nothing behind it.
    """
    tree: dict[str, Entry] = {}
    for entry in entries:
        name = _clean(entry.path)
        if name in tree:
            raise ValueError(f"two entries for /{name}")
        tree[name] = entry
    for name in tuple(tree):
        for parent in PurePosixPath(name).parents[:-1]:
            tree.setdefault(str(parent), directory(str(parent)))
    for number, name in enumerate(sorted(tree), start=1):
        _write(out, name, tree[name], number)
    _write(out, _LAST, Entry(_LAST, 0), 0)


def _clean(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ValueError(f"no path below the root: {path!r}")
    name = "/".join(parts)
    if name == _LAST:
        raise ValueError(f"/{name} would end the archive")
    return name


def _write(out: BinaryIO, name: str, entry: Entry, inode: int) -> None:
    raw = name.encode() + b"\0"
    size = len(entry.content)
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (inode, entry.mode, 0, 0, 1, 0, size, 0, 0, *entry.device, len(raw), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    out.write(_padded(header + raw))
    out.write(_padded(entry.content))


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % _ALIGN)
