# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's log around a test, phase by phase, and how a guest was lost.

A phase asks one thing of the guest: to start a load, to give a file. A kernel that dies there has
failed as much as one that dies in a test: the phase notes it, and its caller need not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.guest.machine import Machine
from harness.guest.transport.agent import ANSWER_S, GuestDied, NoAnswer, Recording
from harness.guest.transport.console import newer_than
from harness.guest.transport.protocol import lines_of
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Ended, Phase

MARK_S = 5.0  # for a mark to come back; a flood of records may have swallowed it
CONSOLE_S = 5.0  # for what the guest has printed already
SYSRQ_S = 5.0  # for the list of blocked tasks
_OURS = "harness: "  # how the harness's own marks in the kernel's log begin


class StuckInKernel(Exception):
    """A program or module does not end: the kernel's fault, so no HarnessError."""


@dataclass
class _Phase:
    when: str
    recording: Recording = field(default_factory=Recording)
    end: int | None = None  # records of the recording that are its own; None: all
    words: list[str] = field(default_factory=list)  # what only the console got
    ended: Ended = Ended.DONE
    reason: str = ""

    def log(self) -> list[str]:
        """Return what the kernel said, up to a test's beginning: from there on it is the test's."""
        found = list[str]()
        for record in self.recording.records[: self.end]:
            if record.text.startswith(_OURS):
                if record.text.endswith(" begins"):
                    break
                continue
            found.append("\n".join(lines_of(record.text)))
        return found + self.words


class PhaseLog:
    """The phases of one guest; *deadline* makes deadlines at its speed."""

    def __init__(self, machine: Machine, deadline: Callable[[float], Deadline]) -> None:
        self.lost = ""  # why nothing more can be run in the guest
        self._machine = machine
        self._agent = machine.agent
        self._deadline = deadline
        self._phases: list[_Phase] = []
        self._keeps = False

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the kernel's log of all phases that begin while inside."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            if self._phases:
                self._agent.record(None, after=self._phases[-1].recording)

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases in which the kernel said something, or that went bad."""
        found = map(self._evidence, self._phases)
        return tuple(phase for phase in found if phase.log or phase.reason)

    @contextlib.contextmanager
    def phase(self, when: str, *, after: bool = False) -> Iterator[None]:
        """Begin a phase that asks for what is inside; the next one, or a test, ends it.

        A guest that dies or hangs meanwhile raises nothing and is ``lost``, and so is one that
        holds up its caller (:class:`StuckInKernel`; blocked tasks are the evidence). *after* a
        test, a failure of ours is noted instead of raised: the test was run.

        Raises:
            GuestError: it went wrong, in a guest that answers.
        """
        self.look()  # what happened until now is the phase's before
        self.begin(when)
        try:
            yield
        except NoAnswer as error:
            mute = self._mute() if error.how is Wait.LATE else error
            if mute is not None:
                self._lose(error if mute.how is Wait.LATE else mute)
            elif after:
                self.miss(f"{error.what}, in a guest that answers")
            else:
                raise GuestError(f"{error.what}, in a guest that answers") from None
        except StuckInKernel as stuck:
            self._hold(str(stuck))
        except GuestError as error:
            if not after:
                raise
            self.miss(error.what)
        self.look()

    def begin(self, when: str) -> None:
        """Begin a phase that asks for nothing."""
        fresh = _Phase(when)
        if self._keeps:
            before = self._phases[-1].recording if self._phases else None
            self._agent.record(fresh.recording, after=before)
        self._phases.append(fresh)

    def miss(self, reason: str) -> None:
        """Note that the phase could not be seen to its end, for a *reason* of ours."""
        phase = self._phases[-1]
        if phase.ended is Ended.DONE:
            phase.ended, phase.reason = Ended.LOST, reason

    def drain(self) -> None:
        """Wait until everything the kernel logged so far is here.

        Raises:
            NoAnswer: the guest died, or did not answer.
        """
        if self._keeps:
            recording = self._phases[-1].recording
            self._agent.mark(f"{_OURS}all is told", recording, self._deadline(MARK_S))

    def look(self) -> None:
        """Note a guest that is gone; it may have died without having been asked anything."""
        vitals = self._machine.vitals
        if self._phases and (vitals.gone or vitals.panic or self._agent.closed):
            how = vitals.wait(lambda: False, Deadline.never(), lambda: self._agent.closed)
            self._lose(NoAnswer("the guest is gone", how))

    # ------------------------------------------------------------ inside

    def _evidence(self, phase: _Phase) -> Phase:
        """Return *phase* as evidence, with what the console has of the records that it lost."""
        log = phase.log()
        gaps = [gap for gap in self._agent.gaps if gap.mark in log]
        whole, found = self._machine.console.fill(log, gaps, self._deadline(CONSOLE_S))
        lost = sum(gap.count for gap in gaps) - found
        return Phase(phase.when, whole, phase.ended, phase.reason, lost, found)

    def _mute(self) -> NoAnswer | None:
        """Ask for a sign of life; return why none came, None if one did."""
        try:
            self._agent.call("hello", deadline=self._deadline(ANSWER_S))
        except NoAnswer as error:
            return error
        return None

    def _hold(self, what: str) -> None:
        """Note that *what* holds up the guest, and have its blocked tasks listed."""
        mute = self._mute()
        phase = self._phases[-1]
        if mute is not None:
            self._lose(mute)
            phase.reason = f"{what}; {phase.reason}"
            return
        phase.end = len(phase.recording.records)  # the rest is what we ask for
        phase.ended, phase.reason = Ended.STUCK, f"{what} (blocked tasks are in the log)"
        self.lost = what
        with contextlib.suppress(NoAnswer):
            sysrq = ("write", "/proc/sysrq-trigger", "w")
            self._agent.call(*sysrq, deadline=self._deadline(SYSRQ_S))

    def _lose(self, error: NoAnswer) -> None:
        if self.lost:
            return
        self.lost = error.what
        phase = self._phases[-1]
        phase.ended, phase.reason = how_lost(self._machine, error)
        records = phase.recording.records
        last = records[-1] if records else self._agent.last_record
        lines = self._machine.console.lines
        phase.words = newer_than(lines, last.usec if last else 0, phase.log())


def how_lost(machine: Machine, error: NoAnswer) -> tuple[Ended, str]:
    """Return how a guest that did not answer was lost, and why in one line."""
    vitals = machine.vitals
    if error.how is Wait.LATE and not vitals.panic:
        return Ended.SILENT, error.what
    machine.settle()
    if vitals.panic:
        return Ended.DIED, f"the kernel panicked: {vitals.panic}"
    failure = machine.failure()
    if failure is not None:
        return Ended.LOST, failure.what
    if error.how is Wait.GONE:
        return Ended.DIED, "the guest reset or powered off"
    return Ended.LOST, error.what


def loss(machine: Machine, error: GuestError) -> GuestError:
    """Return what *error* is about where it met a guest that is gone, else itself.

    A guest that died is :class:`GuestDied`; one whose emulator broke is another NoAnswer.
    """
    vitals = machine.vitals
    if not (vitals.gone or vitals.panic or machine.agent.closed):
        return error
    how = vitals.wait(lambda: False, Deadline.never(), lambda: machine.agent.closed)
    ended, reason = how_lost(machine, NoAnswer(error.what, how))
    return GuestDied(reason, how) if ended is Ended.DIED else NoAnswer(reason, how)
