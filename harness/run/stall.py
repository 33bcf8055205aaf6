# SPDX-License-Identifier: GPL-2.0-only
"""Stall detection: a test that is stuck, told from one that is slow.

Progress is a line of the test's own (a result, a diagnostic), or a higher count of what it has
done, where it counts (``include/harness/progress.h``). Tries that came to nothing are none, nor
is memory that somebody else in the guest allocates. A test without progress for a stretch of time
that is calibrated by the guest's speed is stuck, if the processor's time says how: spent in the
kernel, that is a livelock; not spent, a hang. Whatever is neither goes on to the plain time-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.guest.qemu.threads import cpu_seconds, wants_processor
from harness.guest.samples import SAID
from harness.guest.transport.agent import Recording
from harness.guest.transport.sampler import Sampling
from harness.host.deadline import Deadline
from harness.model.results import Stuck

# The part of a test's time-out that may pass without progress. Our tests count each call that
# comes back: with three runnable tasks to a core and a load in the guest, none was without progress
# for more than 3 s of its 90. When they only printed, some were for 21 s.
PART = 0.2
LEAST_S = 5.0
# The part of a test's time-out that a stuck test may take, its diagnosis included: a third, less
# the delay in seeing the two ends.
WHOLE_PART = 0.3
LEAST_LOOK_S = 2.0
BUSY, IDLE = 0.8, 0.2  # parts of the processors' time
LOOK_S = 0.25  # from one look at the guest to the next
# A sampler that sends nothing for so long, where it should ten times a second, gets no CPU; in
# seconds of a reference guest.
STARVED_S = 2.0


@dataclass(frozen=True)
class ProgressSample:
    """The progress of a guest and its test at one moment."""

    at: float  # seconds, on any clock of the host
    said: int  # lines of the test's own so far
    done: int | None = None  # what it has counted as done; None: it does not count
    retries: int | None = None  # what it has tried in vain
    emulator_s: float = 0.0  # CPU time that the emulator took so far
    emulator_ready: bool = False  # it ran, or waited for a processor of the host
    sampled_at: float = 0.0  # when the newest sample came, on the same clock
    cpu_ms: tuple[int, int, int] | None = None  # by then, the guest's CPU time: user, system, idle


@dataclass(frozen=True)
class Stall:
    """A test that is stuck, as far as one can see without asking the guest."""

    kind: Stuck
    seconds: float  # without progress
    why: str  # what the kind follows from
    told: bool = True  # by the guest's own samples, rather than by its silence


def limit_of(timeout_s: float, stall_s: float) -> float:
    """Return how long a test may go without progress, in seconds of a reference guest.

    *stall_s* is what its ``test.toml`` says, 0 where that says nothing.
    """
    return stall_s or max(LEAST_S, timeout_s * PART)


def look_of(timeout_s: float, spent_s: float) -> float:
    """Return how long a last look at a test may take that made no progress for *spent_s*.

    All in seconds of a reference guest.
    """
    return max(LEAST_LOOK_S, timeout_s * WHOLE_PART - spent_s)


# ---------------------------------------------------------------- detector


class StallDetector:
    """The judge of one test's progress, sample by sample."""

    def __init__(self, limit_s: float, starved_s: float = STARVED_S) -> None:
        """Prepare to look at a test; both in seconds of the host.

        *limit_s* may pass without progress; a guest is silent after *starved_s* without samples.
        """
        self.limit_s = limit_s
        self._starved_s = starved_s
        self._since: ProgressSample | None = None  # the first sample after the latest progress
        self._latest: ProgressSample | None = None
        self._looks = 0  # since then
        self._ready = 0  # those of them when the emulator had something to do

    @property
    def moved(self) -> str:
        """The test's latest progress, for the message on a time-out."""
        if self._since is None or self._latest is None:
            return "it was not seen at work"
        ago = self._latest.at - self._since.at
        return f"its last progress {ago:.0f} s ago: {_counts(self._latest)}"

    def look(self, now: ProgressSample) -> Stall | None:
        """Take in what is seen *now*; return how the test is stuck, None while it is not."""
        since, self._latest = self._since, now
        if since is None or now.said != since.said or (now.done or 0) > (since.done or 0):
            self._since = now
            self._looks = self._ready = 0
            return None
        self._looks += 1
        self._ready += now.emulator_ready
        if since.cpu_ms is None:  # no sample had come by then
            self._since = since = replace(since, cpu_ms=now.cpu_ms)
        seconds = now.at - since.at
        if seconds < self.limit_s:
            return None
        if now.at - now.sampled_at > self._starved_s or now.cpu_ms is None or since.cpu_ms is None:
            return self._unseen(since, now, seconds)
        user, system, idle = (b - a for a, b in zip(since.cpu_ms, now.cpu_ms, strict=True))
        total = max(1, user + system + idle)
        if idle >= BUSY * total:
            return Stall(Stuck.HANG, seconds, f"its processors were idle {idle / total:.0%}")
        if system >= BUSY * total or (_tried(since, now) and idle <= IDLE * total):
            tries = f"; {_counts(now)}" if now.done is not None else ""
            why = f"{system / total:.0%} of its processors' time went into the kernel{tries}"
            return Stall(Stuck.LIVELOCK, seconds, why)
        return None

    def _unseen(self, since: ProgressSample, now: ProgressSample, seconds: float) -> Stall | None:
        """Judge a guest that sends nothing any more by the time that its emulator takes."""
        took = now.emulator_s - since.emulator_s
        # An emulator that is ready and does not run is the host's fault.
        if took <= IDLE * seconds and self._ready <= IDLE * self._looks:
            why = "the guest is silent, its processors idle"
            return Stall(Stuck.HANG, seconds, why, told=False)
        # On a busy host this takes longer: the CPU time is that of an idle host.
        if took >= BUSY * self.limit_s:
            why = f"the guest is silent and took {took:.0f} s of CPU time meanwhile"
            return Stall(Stuck.LIVELOCK, seconds, why, told=False)
        return None


def _tried(since: ProgressSample, now: ProgressSample) -> bool:
    return (now.retries or 0) > (since.retries or 0)


def _counts(sample: ProgressSample) -> str:
    if sample.done is None:
        return f"{sample.said} lines printed"
    return f"{sample.done} done, {sample.retries or 0} tries in vain"


# ---------------------------------------------------------------- watchdog


class Watchdog(Deadline):
    """A deadline that watches its test; ``stall`` says why it passed before its time."""

    def __init__(
        self, seconds: float, detector: StallDetector, look: Callable[[], ProgressSample]
    ) -> None:
        super().__init__(seconds)
        self.stall: Stall | None = None
        self._detector = detector
        self._look = look
        self._next = time.monotonic()

    @property
    def passed(self) -> bool:
        now = time.monotonic()
        if self.stall is None and now >= self._next:
            self._next = now + LOOK_S
            self.stall = self._detector.look(self._look())
        return self.stall is not None or super().remaining() <= 0.0

    def remaining(self) -> float:
        """Return the seconds until somebody has to look again: whoever waits wakes up for it."""
        left = super().remaining()
        return 0.0 if self.stall else min(left, max(0.001, self._next - time.monotonic()))


class Watch:
    """The inputs of a watchdog: a guest's samples, its log, its emulator's CPU time."""

    def __init__(self, pid: int, sampling: Sampling, recording: Recording) -> None:
        self._pid = pid
        self._sampling = sampling
        self._recording = recording
        self._seen = 0  # records that were looked at
        self._said = 0  # lines of the test's own among them

    def sample(self) -> ProgressSample:
        """Return what is known now; cheap enough to be called with the vitals' lock held."""
        records = self._recording.records
        for record in records[self._seen :]:
            self._said += bool(SAID.match(record.text))
        self._seen = len(records)
        figures = self._sampling.newest or {}
        cpu = tuple(figures.get(f"{who}_ms", -1) for who in ("user", "system", "idle"))
        times = tuple(ms for ms in cpu if isinstance(ms, int) and ms >= 0)
        return ProgressSample(
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
