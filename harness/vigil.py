# SPDX-License-Identifier: GPL-2.0-only
"""A test's deadline that passes early where the test is seen to be stuck."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.deadline import Deadline
from harness.oracle import Glance, Oracle, Stall
from harness.procstat import cpu_seconds, wants_processor
from harness.samples import SAID
from harness.transport.agent import Recording
from harness.transport.sampling import Sampling

LOOK_S = 0.25  # from one look at the guest to the next


class Vigil(Deadline):
    """A deadline that looks at the test it is for; ``stall`` says why it passed before its time."""

    def __init__(self, seconds: float, oracle: Oracle, look: Callable[[], Glance]) -> None:
        super().__init__(seconds)
        self.stall: Stall | None = None
        self._oracle = oracle
        self._look = look
        self._next = time.monotonic()

    @property
    def passed(self) -> bool:
        now = time.monotonic()
        if self.stall is None and now >= self._next:
            self._next = now + LOOK_S
            self.stall = self._oracle.look(self._look())
        return self.stall is not None or super().remaining() <= 0.0

    def remaining(self) -> float:
        """Return the seconds until somebody has to look again: whoever waits wakes up for it."""
        left = super().remaining()
        return 0.0 if self.stall else min(left, max(0.001, self._next - time.monotonic()))


class Watch:
    """Looks at one guest while a test runs: its samples, its log, its emulator's CPU time."""

    def __init__(self, pid: int, sampling: Sampling, recording: Recording) -> None:
        self._pid = pid
        self._sampling = sampling
        self._recording = recording
        self._seen = 0  # records that were looked at
        self._said = 0  # lines of the test's own among them

    def glance(self) -> Glance:
        """Return what is known now; cheap enough to be called with the vitals' lock held."""
        records = self._recording.records
        for record in records[self._seen :]:
            self._said += bool(SAID.match(record.text))
        self._seen = len(records)
        figures = self._sampling.newest or {}
        cpu = tuple(figures.get(f"{who}_ms", -1) for who in ("user", "system", "idle"))
        times = tuple(ms for ms in cpu if isinstance(ms, int) and ms >= 0)
        return Glance(
            at=time.monotonic(),
            said=self._said,
            done=_number(figures.get("done")),
            retries=_number(figures.get("retries")),
            emulator_s=cpu_seconds(self._pid),
            emulator_ready=wants_processor(self._pid),
            sampled_at=self._sampling.newest_at,
            cpu_ms=(times[0], times[1], times[2]) if len(times) == 3 else None,
        )


def _number(figure: int | tuple[int, ...] | None) -> int | None:
    return figure if isinstance(figure, int) else None
