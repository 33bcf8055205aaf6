# SPDX-License-Identifier: GPL-2.0-only
"""What the host's kernel tells of one of its processes, and of that one's threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that process *pid* took so far; 0 where it is gone."""
    told = _told(Path(f"/proc/{pid}"))
    return told[2] if told else 0.0


def describe_threads(pid: int) -> Iterator[str]:
    """Yield a line for each thread of process *pid*: its name, state and CPU time so far."""
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        told = _told(task)
        if told:
            name, state, seconds = told
            yield f"thread {task.name}, {name}: state {state}, {seconds:.2f} s of CPU time"


def _told(folder: Path) -> tuple[str, str, float] | None:
    """Return name, state and seconds of CPU time of what has *folder* in /proc; None: gone."""
    try:
        head, _, tail = (folder / "stat").read_text(errors="backslashreplace").rpartition(")")
    except OSError:
        return None
    fields = tail.split()
    ticks = int(fields[11]) + int(fields[12])
    return head.partition("(")[2], fields[0], ticks / os.sysconf("SC_CLK_TCK")
