# SPDX-License-Identifier: GPL-2.0-only
"""File systems on scratch disks: made on the host, and checked there after the unmount.

A guest would need mkfs and fsck for its own architecture, and RAM for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.host import process
from harness.host.deadline import Deadline, host_speed
from harness.host.packages import install_command
from harness.model.errors import InfraError

CHECK_S = 120.0  # on an idle host, of 320 MiB; it takes a second or two
MAX_LINES = 100_000  # of a check
_TAIL = 4000  # characters of a check's output that are looked at
# e2fsck's status for a disk without superblock and copies (8, without 4): it takes that for another
# file system's, and is wrong, as the disk was made for it.
_UNKNOWN = re.compile(
    r"Bad magic number in super-block|[Ss]uperblock (?:is )?(?:invalid|corrupt)"
    r"|checksum does not match superblock|has unsupported feature"
)


@dataclass(frozen=True)
class Checked:
    """The result of a file system's check."""

    sound: bool | None  # None: it did not tell
    said: str  # the end of what it printed
    why: str = ""  # it did not tell, one line


class _Ended(Exception):
    """A check is to go on no longer."""


@dataclass(frozen=True)
class _Kind:
    package: str
    make: tuple[str, ...]
    check: tuple[str, ...]


# Features that 5.10 cannot mount are off.
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


def check_filesystem(kind: str, disk: Path, wanted: Callable[[], bool] = lambda: True) -> Checked:
    """Check the file system *kind* on *disk* with its own tool, for as long as it is *wanted*.

    What it is to read was written by the kernel under test. So a check that finds no end, or
    crashes, is no error: it is one that tells nothing.

    Raises:
        InfraError: the check is not installed, or the disk cannot be read.
    """
    argv = _KINDS[kind].check
    # xfs_repair says 1 of a disk that it cannot open, and of one that is broken.
    if not os.access(disk, os.R_OK):
        raise InfraError(f"{argv[0]} could not check {disk.name}: it cannot be read")
    seconds = host_speed().scale(CHECK_S)
    end = Deadline(seconds)
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        if len(lines) > MAX_LINES:
            raise _Ended("its check does not stop printing")

    def tick() -> None:
        if not wanted():
            raise _Ended("it was stopped")
        if end.passed:
            raise _Ended(f"its check did not end within {seconds:.0f} s")

    try:
        done = _run(kind, argv, disk, hear, tick)
    except _Ended as ended:
        return Checked(None, _tail(lines, disk), str(ended))
    return _judged(done.status, _tail(lines, disk))


def _judged(status: int, said: str) -> Checked:
    # e2fsck: 4 is added for what it found, even where that made it give up (8); xfs_repair: 1 is a
    # finding, and 2 a log to be replayed.
    if status < 0:
        return Checked(None, said, f"its check was ended by signal {-status}")
    if status > 4 and not status & 4 and not _UNKNOWN.search(said):
        return Checked(None, said, f"its check gave up with {status}")
    return Checked(status == 0, said)


def _tail(lines: Sequence[str], disk: Path) -> str:
    return "\n".join((*lines, ""))[-_TAIL:].replace(str(disk), disk.name)


def _run(
    kind: str,
    argv: tuple[str, ...],
    disk: Path,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[], None] | None = None,
) -> process.Finished:
    if not Path(argv[0]).exists():
        package = _KINDS[kind].package
        raise InfraError(
            f"{argv[0]} is missing on this host", hint=f"run: {install_command((package,))}"
        )
    return process.run((*argv, str(disk)), on_line=on_line, on_tick=on_tick)
