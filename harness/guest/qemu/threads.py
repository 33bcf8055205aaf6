# SPDX-License-Identifier: GPL-2.0-only
"""Threads of an emulator, as the host's kernel shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_Told = tuple[str, str, float]  # name, state, seconds of CPU time


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that process *pid* took so far; 0 where it is gone."""
    told = _told(Path(f"/proc/{pid}"))
    return told[2] if told else 0.0


def wants_processor(pid: int) -> bool:
    """Say whether a thread of process *pid* runs now, or waits for a processor to run on."""
    return any(told and told[1] == "R" for _, told in _threads(pid))


def asleep(pid: int) -> bool:
    """Say whether all threads of process *pid* sleep: none runs, waits for a processor or disk."""
    states = [told[1] for _, told in _threads(pid) if told]
    return bool(states) and set(states) == {"S"}


def describe_threads(pid: int) -> Iterator[str]:
    """Yield a line for each thread of process *pid*: its name, state and CPU time so far."""
    for number, told in _threads(pid):
        if told:
            name, state, seconds = told
            yield f"thread {number}, {name}: state {state}, {seconds:.2f} s of CPU time"


def _threads(pid: int) -> Iterator[tuple[str, _Told | None]]:
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        yield task.name, _told(task)


def _told(folder: Path) -> _Told | None:
    """Return what is told of what has *folder* in /proc; None where it is gone."""
    try:
        head, _, tail = (folder / "stat").read_text(errors="backslashreplace").rpartition(")")
    except OSError:
        return None
    fields = tail.split()
    ticks = int(fields[11]) + int(fields[12])
    return head.partition("(")[2], fields[0], ticks / os.sysconf("SC_CLK_TCK")
