# SPDX-License-Identifier: GPL-2.0-only
"""The digest of every file of a pristine tree, taken when it was unpacked.

A build trusts names, sizes and times (75,000 files take 2 s to read); ``harness cache verify``
reads them all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.store import sha256_of, write_atomically

FILE = "contents.json"


def record(tree: Path, file: Path) -> None:
    """Write the digest of every regular file below *tree* to *file*."""
    write_atomically(file, json.dumps({name: sha256_of(tree / name) for name in _names(tree)}))


def differing(tree: Path, file: Path, on_bytes: Callable[[int], None]) -> str | None:
    """Return the first file that is not what *file* recorded, "" for none, None: no record.

    *on_bytes* is told the size of each file that was read.
    """
    try:
        recorded: dict[str, str] = dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return file.name
    for name, sha256 in recorded.items():
        path = tree / name
        try:
            if sha256_of(path) != sha256:
                return name
            on_bytes(path.stat().st_size)
        except OSError:
            return name
    return ""


def _names(tree: Path) -> Iterator[str]:
    """Yield the regular files below *tree*; links are in the tree's fingerprint."""
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(tree / below) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{below}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    yield below + entry.name
