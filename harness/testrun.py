# SPDX-License-Identifier: GPL-2.0-only
"""One guest test, run once: its module goes in, its log is collected, its end is named."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from harness import leaks
from harness.deadline import Deadline
from harness.machine import Machine
from harness.model import GuestTest, Speed
from harness.record import Ended, TestOutcome
from harness.transport.agent import NoAnswer, Recording
from harness.transport.console import newer_than
from harness.transport.protocol import lines_of
from harness.transport.pump import Wait

ANSWER_S = 15.0  # for a request that only needs the guest to be alive
MARK_S = 5.0  # for a mark to come back; a flood of records may have swallowed it
MODULES = "/harness/modules"


class Trial:
    """A test's run in one guest. ``spoiled`` says afterwards why the guest is unfit for more."""

    def __init__(self, machine: Machine, speed: Speed, test: GuestTest) -> None:
        self.spoiled = ""
        self._machine = machine
        self._agent = machine.agent
        self._speed = speed
        self._test = test
        self._begin = 0  # records of the recording that are older than the test
        self._end: int | None = None
        self._leaks: tuple[str, ...] = ()  # what is found of them when it is over

    def run(self, unfit: str) -> TestOutcome:
        """Run the test; *unfit* says why the guest cannot run anything, "" where it can."""
        begun = time.monotonic()
        with self._agent.recording() as recording:
            try:
                if unfit:
                    raise NoAnswer(unfit, Wait.GONE if self._machine.vitals.gone else Wait.LATE)
                outcome = self._insert(recording)
            except NoAnswer as error:
                outcome = self._lost(error)
            seconds = time.monotonic() - begun
        log = [*self._log(recording), *self._leaks]
        if outcome.ended in (Ended.DIED, Ended.SILENT):
            log += self._last_words(recording, log)
        return replace(outcome, log=tuple(log), seconds=seconds, lost_records=recording.lost)

    def _insert(self, recording: Recording) -> TestOutcome:
        test = self._test
        for path, value in test.knobs:
            answer = self._agent.call("write", path, value, deadline=self._deadline(ANSWER_S))
            if not answer.ok:
                return TestOutcome(Ended.REFUSED, (), reason=f"knob {path}: {answer.text}")
        # Marks in the kernel's own log, because that is what is cut at them: what came before
        # the test may still be on its way when the module goes in.
        self._begin = self._mark("begins", recording)[1] or 0
        deadline = self._deadline(test.timeout_s)
        path = f"{MODULES}/{test.module}.ko"
        done = self._agent.run("insmod", path, *test.params, deadline=deadline)
        if done.end is None:
            why = done.answer.text if done.answer else "no end"
            return TestOutcome(Ended.REFUSED, (), reason=f"module {test.module}: {why}")
        if not done.end.well:
            self._end = self._mark("ends", recording)[0]
            errno = done.end.number if done.end.how == "errno" else 0
            why = os.strerror(errno) if errno else str(done.end)
            return TestOutcome(Ended.REFUSED, (), errno, reason=f"module {test.module}: {why}")
        return self._remove(recording)

    def _remove(self, recording: Recording) -> TestOutcome:
        """Unload the module: what its exit prints, or trips over, belongs to the test."""
        name = self._test.module.replace("-", "_")
        answer = self._agent.call("rmmod", name, deadline=self._deadline(ANSWER_S))
        self._end = self._mark("ends", recording)[0]
        if answer.ok:
            self._look_for_leaks()
            return TestOutcome(Ended.DONE, ())
        self.spoiled = f"module {name} cannot be unloaded: {answer.text}"
        return TestOutcome(Ended.DONE, (), reason=self.spoiled)

    def _look_for_leaks(self) -> None:
        """With the module gone, all that it still owns is lost."""
        try:
            self._leaks = leaks.found(self._agent, self._speed)
        except NoAnswer:
            self._end = None  # what the guest had to say meanwhile belongs to the test after all
            raise

    def _mark(self, what: str, recording: Recording) -> tuple[int | None, int | None]:
        """Mark the kernel's log; return the place of the mark, and the one behind it."""
        text = f"harness: test {self._test.name} {what}"
        place = self._agent.mark(text, recording, self._deadline(MARK_S))
        return place, None if place is None else place + 1

    def _lost(self, error: NoAnswer) -> TestOutcome:
        """Say why the guest did not answer."""
        vitals = self._machine.vitals
        self.spoiled = error.what
        if error.how is Wait.LATE and not vitals.panic:
            return TestOutcome(Ended.SILENT, (), reason=f"{error.what}; {self._signs_of_life()}")
        self._machine.settle()
        failure = self._machine.failure()
        if vitals.panic:
            return TestOutcome(Ended.DIED, (), reason=f"the kernel panicked: {vitals.panic}")
        if failure is not None:
            return TestOutcome(Ended.LOST, (), reason=failure.what)
        if error.how is Wait.GONE:
            return TestOutcome(Ended.DIED, (), reason="the guest reset or powered off")
        return TestOutcome(Ended.LOST, (), reason=error.what)

    def _signs_of_life(self) -> str:
        beat = self._agent.beat
        if beat is None:
            return "it has shown no sign of life since it was ready"
        ago = time.monotonic() - self._agent.beat_at
        return f"its last sign of life {ago:.0f} s ago: {beat.mem_free_kb} KiB were free"

    def _log(self, recording: Recording) -> list[str]:
        records = recording.records[self._begin : self._end]
        return ["\n".join(lines_of(record.text)) for record in records]

    def _last_words(self, recording: Recording, log: list[str]) -> list[str]:
        """Return what only the console still got: a dying kernel forwards nothing."""
        last = recording.records[-1] if recording.records else self._agent.last_record
        return newer_than(self._machine.console.lines, last.usec if last else 0, log)

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(self._speed.scale(seconds))
