# SPDX-License-Identifier: GPL-2.0-only
"""Cores and memory of this host that a run may use, by affinity and cgroups."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return the number of cores that this process may use: by affinity, and by its cgroups."""
    allowed = len(os.sched_getaffinity(0))
    for folder in _cgroups():
        quota, _, period = _first_line(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            allowed = min(allowed, int(quota) // int(period))
    return max(1, allowed)


def memory_mib() -> int:
    """Return the memory that could be used now, in MiB: MemAvailable, and what cgroups allow."""
    free = 1024
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) // 1024
    for folder in _cgroups():
        limit, used = (_first_line(folder / f"memory.{name}") for name in ("max", "current"))
        if limit.isdigit() and used.isdigit():
            free = min(free, max(0, int(limit) - int(used)) >> 20)
    return free


def _cgroups() -> tuple[Path, ...]:
    """Return the folders of this process' cgroups (version 2), from its own up to the root's."""
    for line in _lines(Path("/proc/self/cgroup")):
        if line.startswith("0::"):
            own = CGROUPS / line[3:].strip().lstrip("/")
            return (own, *(p for p in own.parents if p.is_relative_to(CGROUPS)))
    return ()


def _first_line(file: Path) -> str:
    return next(iter(_lines(file)), "")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def describe() -> str:
    """Return one line about the host for run records: kernel, cores, memory."""
    uname = platform.uname()
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return f"{uname.system} {uname.release} {uname.machine}, {cores()} cores, {total} MiB"
