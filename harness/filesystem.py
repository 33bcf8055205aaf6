# SPDX-License-Identifier: GPL-2.0-only
"""File systems on scratch disks: made on the host, and checked there once a guest let go.

A guest would need mkfs and fsck for its own architecture, and RAM for them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from harness import process
from harness.errors import InfraError
from harness.host import install_command

_TAIL = 4000  # characters of a check's output that are looked at


@dataclass(frozen=True)
class _Kind:
    package: str
    make: tuple[str, ...]
    check: tuple[str, ...]


# What 5.10 cannot mount yet stays off.
_KINDS = {
    "xfs": _Kind(
        "xfsprogs",
        ("/usr/sbin/mkfs.xfs", "-q", "-f", "-i", "nrext64=0"),
        ("/usr/sbin/xfs_repair", "-n", "-f"),
    ),
    "ext4": _Kind(
        "e2fsprogs",
        ("/usr/sbin/mkfs.ext4", "-q", "-F", "-O", "^orphan_file,^metadata_csum_seed"),
        ("/usr/sbin/e2fsck", "-f", "-n"),
    ),
}


def make_filesystem(kind: str, disk: Path) -> None:
    """Make an empty *kind* on *disk*, a file.

    Raises:
        InfraError: its program is not installed, or failed.
    """
    done = _run(kind, _KINDS[kind].make, disk)
    if not done.ok:
        raise InfraError(
            f"{_KINDS[kind].make[0]} failed on a disk of {disk.stat().st_size >> 20} MiB",
            detail=done.stderr[-_TAIL:],
        )


def check_filesystem(kind: str, disk: Path) -> tuple[bool, str]:
    """Say whether the *kind* on *disk* is sound, and what its own check printed.

    Raises:
        InfraError: the check is not installed, or could not be run.
    """
    # xfs_repair says 1 of a disk that it cannot open, and of one that is broken.
    if not os.access(disk, os.R_OK):
        raise InfraError(f"{_KINDS[kind].check[0]} could not check {disk.name}: it cannot be read")
    done = _run(kind, _KINDS[kind].check, disk)
    said = (done.stdout + done.stderr)[-_TAIL:].replace(str(disk), disk.name)
    # e2fsck: 4 is added for what it found, even where that made it give up (8); xfs_repair: 1 is a
    # finding, and 2 a log to be replayed.
    if done.status < 0 or (done.status > 4 and not done.status & 4):
        raise InfraError(f"{_KINDS[kind].check[0]} could not check {disk.name}", detail=said)
    return done.ok, said


def _run(kind: str, argv: tuple[str, ...], disk: Path) -> process.Finished:
    try:
        return process.run((*argv, str(disk)))
    except InfraError as error:
        package = _KINDS[kind].package
        raise InfraError(
            f"{argv[0]} is missing on this host", hint=f"run: {install_command((package,))}"
        ) from error
