# SPDX-License-Identifier: GPL-2.0-only
"""The load of the machine by others while something was measured."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_STAT = Path("/proc/stat")
# Of its first line: time that the processors spent on something. The fields are user, nice,
# system, idle, iowait, irq, softirq, steal (what the host of a virtual machine took away).
_BUSY = (0, 1, 2, 5, 6, 7)


class Disturbance:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._others = _busy_s() - _own_s()

    def cores(self) -> float:
        """Return how many cores, on average, did what is neither ours nor our children's.

        Children that still run count as others'; so do the last ticks of those that just ended.
        """
        passed = time.monotonic() - self._begun
        return max(0.0, _busy_s() - _own_s() - self._others) / passed if passed else 0.0


def _busy_s() -> float:
    fields = [int(word) for word in _STAT.read_text().partition("\n")[0].split()[1:]]
    return sum(fields[n] for n in _BUSY) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
