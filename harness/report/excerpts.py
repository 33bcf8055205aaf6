# SPDX-License-Identifier: GPL-2.0-only
"""Files of a run as reports show them: found inside its folder, cut to a size, made visible."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.model.text import one_line, visible

LOG_LIMIT = 64 * 1024  # bytes of one log that a report holds; the rest stays in its file
# Labels of the files of a cell; others have the name of their evidence.
BOOT_CONSOLE, BOOT_ARGV = "console log of the boot", "argv of the boot"
_LABELS = {
    "ktap.txt": "KTAP",
    "test.log": "KTAP log",
    "console.log": "console log",
    "kmsg.log": "kernel log",
    "stuck.txt": "stacks and memory of the stuck guest",
    "samples.jsonl": "samples",
    "argv.txt": "argv",
    "argv-by-hand.txt": "argv to run by hand",
    "qemu.log": "QEMU's messages",
    "boot-console.log": BOOT_CONSOLE,
    "boot-argv.txt": BOOT_ARGV,
}
# Of the template, the same for many cells: linked, not shown in each.
LINKED = (BOOT_CONSOLE, BOOT_ARGV)


@dataclass(frozen=True)
class Excerpt:
    """A file, or its head and tail where it is long; ready to be escaped and shown."""

    head: str
    tail: str = ""  # empty where nothing was left out
    size: int = 0  # bytes of the whole file
    left_out: int = 0  # bytes between head and tail
    binary: bool = False  # holds NUL bytes at its start: not shown at all

    @property
    def text(self) -> str:
        """Head, a note of what is missing, and tail as one text."""
        if not self.left_out:
            return self.head
        return f"{self.head}\n[{self.left_out} bytes left out]\n{self.tail}"


def inside(folder: Path, name: str) -> Path | None:
    """Return the file *name* of the run in *folder*; None if there is none or it leads outside."""
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts:
        return None
    path = folder / pure
    try:
        # Nearly nothing in a run is a link, and to look for one is cheap.
        within = not _has_link(folder, pure) or path.resolve().is_relative_to(folder.resolve())
        return path if within and path.is_file() else None
    except (OSError, ValueError):  # a loop of symlinks; a name with a NUL
        return None


def _has_link(folder: Path, below: PurePosixPath) -> bool:
    walked = str(folder)
    for part in below.parts:
        walked = f"{walked}/{part}"
        if os.path.islink(walked):  # noqa: PTH114 (a Path for each part takes five times as long)
            return True
    return False


def read_excerpt(folder: Path, name: str, limit: int = LOG_LIMIT) -> Excerpt | None:
    """Read at most *limit* bytes of *name* below *folder*: all of it, or its head and tail.

    None where the file is not there, cannot be read or lies outside of *folder*.
    """
    path = inside(folder, name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= limit:
                return _excerpt(file.read(limit), b"", size)
            head = _back_to_line(file.read(limit // 2))
            file.seek(size - limit // 2)
            tail = _on_to_line(file.read(limit // 2))
    except OSError:
        return None
    return _excerpt(head, tail, size)


def _excerpt(head: bytes, tail: bytes, size: int) -> Excerpt:
    if b"\0" in head[:512] and not _is_log(head):
        return Excerpt(head="", size=size, binary=True)
    left_out = size - len(head) - len(tail)
    return Excerpt(visible(head), visible(tail), size, max(0, left_out))


def _is_log(head: bytes) -> bool:
    """A serial console may begin with stray NULs; a binary file has hardly any whole line."""
    printable = sum(0x20 <= byte < 0x7F or byte in b"\r\n\t\x1b" for byte in head)
    return printable * 2 > len(head)


def _back_to_line(data: bytes) -> bytes:
    """Cut *data* after its last line feed, unless that costs more than a quarter of it."""
    end = data.rfind(b"\n") + 1
    return data[:end] if end > len(data) * 3 // 4 else data


def _on_to_line(data: bytes) -> bytes:
    start = data.find(b"\n") + 1
    return data[start:] if start < len(data) // 4 else data


@dataclass(frozen=True)
class Exhibit:
    """One file of a cell's evidence."""

    label: str  # for people
    name: str  # path below the run folder
    artifact: bool  # fetched from the guest, not written by the harness


def exhibits(evidence: Iterable[tuple[str, str]]) -> tuple[Exhibit, ...]:
    """Return the files of a cell's evidence, labelled, in the order in which reports show them."""
    found = []
    for what, name in evidence:
        pure = PurePosixPath(name)
        artifact = "artifacts" in pure.parts
        label = pure.name if artifact else _LABELS.get(pure.name, what)
        found.append(Exhibit(one_line(label, 60), name, artifact))
    order = list(_LABELS.values())
    return tuple(
        sorted(found, key=lambda e: order.index(e.label) if e.label in order else len(order))
    )
