# SPDX-License-Identifier: GPL-2.0-only
"""Deadlines, and time-outs scaled by a guest's speed.

One :class:`Deadline` is handed down through every wait of a piece of work, so that three waits
in a row cannot take three times what was allowed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

from harness.model.values import Speed

# Microseconds of PID 1's calibration loop in the guest that the time-outs of test.toml and
# load.toml are written for: one CPU under TCG on an idle host (measured: 6 to 8 ms, either
# architecture).
REFERENCE_SPIN_US = 10_000
# A guest measures itself and may be wrong: unbounded, its time-outs could last days.
SLOWEST = 100


class Deadline:
    """A point in time on the monotonic clock.

    ``seconds`` is what was granted when it was made, for messages.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    @classmethod
    def never(cls) -> Deadline:
        """Return a deadline that does not pass."""
        return cls(math.inf)

    def remaining(self) -> float:
        """Return the seconds left, 0.0 once it has passed; ``inf`` for :meth:`never`."""
        return max(0.0, self._end - self._clock())

    @property
    def spent(self) -> float:
        """The seconds since it was made, however many were granted."""
        return self._clock() - self._end + self.seconds

    @property
    def passed(self) -> bool:
        return self.remaining() <= 0.0

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and *seconds* from now."""
        return Deadline(min(seconds, self.remaining()), self._clock)


def speed_of(spin_us: int) -> Speed:
    """Return the speed of a guest whose calibration loop took *spin_us* microseconds.

    0 or less (a guest that did not measure) counts as reference speed, and one that claims to be
    slower than a hundredth of that as a hundredth.
    """
    if spin_us <= 0:
        return Speed(1.0)
    return Speed(min(spin_us, SLOWEST * REFERENCE_SPIN_US) / REFERENCE_SPIN_US)


def host_speed() -> Speed:
    """Return a guess for a guest that has not measured itself yet: from the host's run queue.

    A host with twice as many runnable tasks as cores makes everything take twice as long.
    """
    return Speed(max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0))))
