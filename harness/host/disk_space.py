# SPDX-License-Identifier: GPL-2.0-only
"""Full disks as one clear error."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.model.errors import InfraError

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
FULL_TEXTS = ("No space left on device", "Disk quota exceeded")  # as tools print it under LC_ALL=C
_HINT = "free some space, or point KERNEL_PATCH_HARNESS_CACHE at a larger disk"


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Check that *needed* bytes are free where *folder* is, or will be.

    Raises:
        InfraError: they are not.
    """
    free = shutil.disk_usage(_existing(folder.absolute())).free
    if free < needed:
        raise InfraError(
            f"no space for {purpose}: {needed / 2**30:.1f} GiB needed in {folder}, "
            f"{free / 2**30:.1f} GiB free",
            hint=_HINT,
        )


def full(folder: Path, purpose: str) -> InfraError:
    """Return the error that says the disk of *folder* is full."""
    return InfraError(f"no space left in {folder} for {purpose}", hint=_HINT)


def says_full(output: str) -> bool:
    """Say whether a tool's *output* is about a full disk."""
    return any(text in output for text in FULL_TEXTS)


@contextmanager
def clear_when_full(folder: Path, purpose: str) -> Iterator[None]:
    """Turn the operating system's "no space" into the harness' own error.

    Raises:
        InfraError: the disk of *folder* filled up inside the block.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise full(folder, purpose) from error
        raise
