# SPDX-License-Identifier: GPL-2.0-only
"""Limits on the guests that run at a time: the host's cores, and its memory as measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.host import resources
from harness.model.values import GuestSpec

# Memory of the host beyond a guest's RAM, until a guest like it was measured: QEMU's text, heap
# and translated code, 60 to 90 MiB for these guests under TCG.
QEMU_OVERHEAD_MIB = 128
# Guests differ: room for more than the largest one measured.
MARGIN = 1.25
# Memory that is left to everything else on the host.
RESERVE_MIB = 512
# Seconds between looks at the host's memory, which other processes take and give back.
LOOK_AGAIN_S = 0.5


class Capacity:
    """Lets guests start while there is room for them; shared by the workers of a run."""

    def __init__(
        self, jobs: int, cpus: int, memory_mib: Callable[[], int] = resources.memory_mib
    ) -> None:
        """Allow *jobs* guests of *cpus* CPUs each; 0: as many as there are cores for."""
        self.workers = jobs or max(1, resources.cores() // cpus)
        self._memory_mib = memory_mib
        self._changed = threading.Condition()
        self._promised = 0  # MiB that guests may still take which started and were not measured
        self._running = 0
        self._seen: dict[GuestSpec, int] = {}  # MiB, the most that a guest took

    @contextmanager
    def place(self, spec: GuestSpec) -> Iterator[Callable[[int], None]]:
        """Wait for room for a guest of *spec*, and keep it while inside.

        Gives a function to tell how many MiB the guest took: it is what the next ones need. One
        guest always finds room: what does not fit at all is the emulator's to say.
        """
        with self._changed:
            while self._running and not self._fits(spec):
                self._changed.wait(LOOK_AGAIN_S)
            mine = self._needs(spec)
            self._promised += mine
            self._running += 1

        def took(mib: int) -> None:
            with self._changed:
                self._seen[spec] = max(mib, self._seen.get(spec, 0))

        try:
            yield took
        finally:
            with self._changed:
                self._promised -= mine
                self._running -= 1
                self._changed.notify_all()

    def _needs(self, spec: GuestSpec) -> int:
        """Return the memory of the host to keep for one guest of *spec*, in MiB."""
        seen = self._seen.get(spec)
        return int(seen * MARGIN) if seen else spec.ram_mib + QEMU_OVERHEAD_MIB

    def _fits(self, spec: GuestSpec) -> bool:
        # Memory that running guests took is counted twice: too few are better than too many.
        return self._memory_mib() - self._promised - RESERVE_MIB >= self._needs(spec)
