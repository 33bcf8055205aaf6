# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is dead before it is ready, told from one that is slow.

Dead is one that says nothing, on no channel, and whose emulator either sleeps, or runs in one
place. The emulator's own CPU time is the clock where it runs, so that a busy host changes
nothing; where it sleeps, all of its threads must sleep: one that waits for a processor does not.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.guest.machine import Machine
from harness.guest.processor import Look, Processor, Site, common
from harness.guest.qemu.threads import asleep, cpu_seconds
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Death
from harness.model.symbols import PANIC, SystemMap
from harness.model.values import Arch, GuestSpec

TICK_S = 0.25  # from one look at the emulator to the next
# A tick counts for no more, however late we are: we may be starved ourselves.
LONGEST_TICK_S = 0.5
# Of the time in which a guest sleeps: a tick may fall on a timer of the emulator's.
ASLEEP_PART = 0.8
ASLEEP_CPU = 0.05  # of one processor; an idle guest under TCG takes a tenth of that
SIGHTS = 10  # looks at the registers at least, before they are compared
# A loop without a counter is seen in a few states only, but for interrupts.
LOOP_STATES, LOOP_PART = 4, 0.8
# A loop with one, in few functions: it may call a comparison, and that another.
PLACE_FUNCTIONS, PLACE_PART = 3, 0.95
# More RAM has more pages to describe and to clear, under a sanitizer as well.
PLACE_S_PER_GIB = 2.0
MAX_TICKS = 400
HELD = ("prelaunch", "paused", "debug")  # QEMU's words for a guest that a person stopped
ANSWER_S = 5.0  # for the emulator to say whether it runs


@dataclass(frozen=True)
class Patience:
    """How long a guest may show nothing, in each of the states that look like death."""

    halted_s: float = 3.0  # seconds asleep, its interrupts off
    idle_s: float = 10.0  # seconds asleep, and a timer may wake it
    silent_s: float = 1.5  # the emulator's CPU time before its registers are looked at
    loop_s: float = 3.0  # CPU time in the same few states
    place_s: float = 8.0  # CPU time in the same few functions
    panic_s: float = 2.0  # CPU time in a panic: it should have reset by then


FIRST = Patience()
# For a second boot of a kernel that died like this before.
AGAIN = Patience(halted_s=2.0, idle_s=3.0, silent_s=0.5, loop_s=2.0, place_s=5.0)


@dataclass(frozen=True)
class Tick:
    """A stretch of time in which the guest was silent."""

    seconds: float
    cpu_s: float  # that the emulator took in it
    asleep: bool  # at its end, all of the emulator's threads


@dataclass(frozen=True)
class Sight:
    """A look at the processors."""

    cpu_s: float  # that the emulator had taken until then
    processors: tuple[Processor, ...]
    stack: tuple[Site, ...] = ()  # of the first of them that is at work


def slept(ticks: Sequence[Tick], seconds: float) -> bool:
    """Say whether the emulator slept for the last *seconds* of *ticks*."""
    total, cpu, calm = 0.0, 0.0, 0
    for number, tick in enumerate(reversed(ticks), start=1):
        total += tick.seconds
        cpu += tick.cpu_s
        calm += tick.asleep
        if total >= seconds:
            return calm >= ASLEEP_PART * number and cpu <= ASLEEP_CPU * total
    return False


def may_wake(processor: Processor, arch: Arch, symbols: SystemMap | None) -> bool:
    """Say whether a *processor* that stands may be woken by an interrupt, as far as is known.

    One that stands outside of the kernel, its interrupts off, was not started or has lost its way.
    """
    if not processor.masked:
        return True
    if not arch.registers.idle:
        return False
    found = symbols.find(processor.counter) if symbols else None
    return symbols is None or (found is not None and found.name in arch.registers.idle)


def loops(sights: Sequence[Sight], patience: Patience) -> bool:
    """Say whether the last of *sights* show all processors in the same few states."""
    recent = _recent(sights, patience.loop_s)
    return _same(recent, lambda one: one.text, LOOP_STATES, LOOP_PART)


def stays(sights: Sequence[Sight], symbols: SystemMap, patience: Patience, ram_mib: int) -> bool:
    """Say whether the last of *sights* show all processors in the same few functions."""

    def function(one: Processor) -> str | None:
        found = symbols.find(one.counter)
        return found.name if found else None

    recent = _recent(sights, patience.place_s + PLACE_S_PER_GIB * ram_mib / 1024)
    return _same(recent, function, PLACE_FUNCTIONS, PLACE_PART)


def panics(sights: Sequence[Sight], patience: Patience) -> bool:
    """Say whether the last of *sights* show a panic that has no end."""
    recent = _recent(sights, patience.panic_s)
    return bool(recent) and all(
        any(site.symbol.name == PANIC for site in sight.stack) for sight in recent
    )


def strays(sights: Sequence[Sight], symbols: SystemMap, patience: Patience) -> bool:
    """Say whether the last of *sights* show all processors in no function of the kernel.

    Nor in a program: a jump into nowhere ends so.
    """

    def nowhere(one: Processor) -> str | None:
        return "" if symbols.find(one.counter) or not one.privileged else "nowhere"

    return _same(_recent(sights, patience.loop_s), nowhere, 1, 1.0)


def _recent(sights: Sequence[Sight], cpu_s: float) -> Sequence[Sight]:
    """Return the last of *sights* that span *cpu_s* at least; none where they are too few."""
    for begin in range(len(sights) - SIGHTS, -1, -1):
        if sights[-1].cpu_s - sights[begin].cpu_s >= cpu_s:
            return sights[begin:]
    return ()


def _same(
    sights: Sequence[Sight], key: Callable[[Processor], str | None], few: int, part: float
) -> bool:
    """Say whether *few* values of *key* make up *part* of what each processor showed."""
    if not sights or not sights[-1].processors:
        return False
    for number in range(len(sights[-1].processors)):
        of_one = [s.processors[number] for s in sights if number < len(s.processors)]
        seen = Counter(filter(None, map(key, of_one)))
        if sum(count for _, count in seen.most_common(few)) < part * len(sights):
            return False
    return True


class BootWatch:
    """Waits for one guest to become ready, or to be dead."""

    def __init__(
        self,
        machine: Machine,
        spec: GuestSpec,
        look: Look,
        patience: Patience,
        *,
        paused: bool,
        too_large: bool,
    ) -> None:
        """Watch *machine*; *paused*: its emulator pauses where others end with the guest.

        *too_large*: kernel and initramfs do not fit into its RAM.
        """
        self._machine = machine
        self._spec = spec
        self._look = look
        self._patience = patience
        self._pauses = paused
        self._too_large = too_large
        self._heard = -1
        self._cpu_s = 0.0
        self._silent_cpu_s = 0.0
        self._ticks: deque[Tick] = deque(maxlen=MAX_TICKS)
        self._sights: deque[Sight] = deque(maxlen=MAX_TICKS)
        self._ticked = time.monotonic()

    def wait(self, deadline: Deadline) -> tuple[Wait, Death | None]:
        """Wait until the guest is ready, gone, dead, or *deadline* passed.

        Dead is the second value: how it looks from outside.
        """
        agent = self._machine.agent
        while True:
            how = agent.wait_ready(deadline.within(TICK_S))
            if how is not Wait.LATE:
                return how, None
            if self._pauses and self._status() == "shutdown":
                return Wait.GONE, Death.RESET
            death = self._dead()
            if death is None and deadline.passed:
                death = Death.SPINNING if self._gets_nowhere() else Death.SILENT
            if death is not None:
                return how, death

    @property
    def stacks(self) -> tuple[tuple[Site, ...], ...]:
        """The stacks of late, in a guest that runs and says nothing."""
        return tuple(sight.stack for sight in self._sights)

    def _status(self) -> str:
        """Return what QEMU says of the run, "" where it does not answer."""
        try:
            status = self._machine.monitor.execute("query-status", deadline=Deadline(ANSWER_S))
        except GuestError:
            return ""  # it is gone, which the next wait tells
        return str(status.get("status"))

    def _dead(self) -> Death | None:
        self._tick()
        if self._asleep(self._patience.halted_s):
            return self._sleeps()
        if self._silent_cpu_s < self._patience.silent_s:
            return None
        if self._too_large and self._silent_cpu_s >= self._patience.loop_s:
            return Death.SPINNING  # whatever it runs there
        try:
            processors = self._look.processors()
        except GuestError:
            return None
        self._sights.append(Sight(self._cpu_s, processors, self._look.stack(processors)))
        return Death.SPINNING if self._spins() else None

    def _sleeps(self) -> Death | None:
        """Say how a guest is dead whose emulator sleeps; None: it is not, or not yet."""
        try:
            processors = self._look.processors()
        except GuestError:
            return None
        if self._status() in HELD:
            return None
        arch, symbols = self._spec.arch, self._look.symbols
        if processors and not any(may_wake(one, arch, symbols) for one in processors):
            return Death.HALTED
        return Death.IDLE if self._asleep(self._patience.idle_s) else None

    def _tick(self) -> None:
        """Note what the emulator did since the last tick; a guest that said something lives."""
        pid = self._machine.pid
        heard = self._machine.console.received + self._machine.agent.received
        now, cpu_s = time.monotonic(), cpu_seconds(pid)
        seconds, used = min(now - self._ticked, LONGEST_TICK_S), cpu_s - self._cpu_s
        self._ticked, self._cpu_s = now, cpu_s
        if heard != self._heard:
            self._heard, self._silent_cpu_s = heard, 0.0
            self._ticks.clear()
            self._sights.clear()
            return
        self._silent_cpu_s += used
        self._ticks.append(Tick(seconds, used, asleep(pid)))

    def _asleep(self, seconds: float) -> bool:
        return slept(self._ticks, seconds)

    def _gets_nowhere(self) -> bool:
        """Say whether it was in some function all along, by the end of its time.

        That is no sign of death before: a healthy kernel may be in one for long.
        """
        recent = _recent(tuple(self._sights), self._patience.place_s)
        return bool(common([sight.stack for sight in recent]))

    def _spins(self) -> bool:
        sights = tuple(self._sights)
        if loops(sights, self._patience) or panics(sights, self._patience):
            return True
        symbols = self._look.symbols
        return symbols is not None and (
            strays(sights, symbols, self._patience)
            or stays(sights, symbols, self._patience, self._spec.ram_mib)
        )
