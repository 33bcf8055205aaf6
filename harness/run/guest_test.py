# SPDX-License-Identifier: GPL-2.0-only
"""One run of a guest test: its module is loaded, its log collected, its end classified."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.guest import kmemleak
from harness.guest.guest import CONSOLE_S, MODULES, Guest
from harness.guest.machine import Machine
from harness.guest.phase_log import how_lost
from harness.guest.transport.agent import ANSWER_S, NoAnswer, Recording
from harness.guest.transport.console import newer_than
from harness.guest.transport.protocol import lines_of
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.results import Ended, Mark, Stuck, TestOutcome
from harness.model.values import GuestTest, Speed
from harness.run.diagnose import Diagnosis, Findings
from harness.run.load import LoadRun
from harness.run.stall import STARVED_S, StallDetector, Watch, Watchdog, limit_of, look_of
from harness.verdict.log_facts import read_log
from harness.verdict.marks import marks

MARK_S = 5.0  # for a mark to come back; a flood of records may have swallowed it
LAST_MARK_S = 1.0  # the same of a test that is stuck: what time there is serves to look at it


def run_test(guest: Guest, test: GuestTest, loads: Sequence[LoadRun] = ()) -> TestOutcome:
    """Load *test*'s module, which runs its suite, beside *loads*, and return what happened.

    Never raises for what the guest does, dying included. A test that does not end in time
    goes on hanging in the guest, so nothing more can be run in it: ``alive`` is false.
    """
    symbols = guest.spec.kernel.with_name("System.map")
    test_run = GuestTestRun(guest.machine, guest.speed, test, symbols)
    before = len(guest.agent.gaps)
    outcome = test_run.run(guest.phase_log.lost)
    guest.phase_log.lost = guest.phase_log.lost or test_run.spoiled
    guest.phase_log.begin("after the test")
    # The console may have the records that the log lost.
    end = guest.deadline(CONSOLE_S)
    log, found = guest.console.fill(outcome.log, guest.agent.gaps[before:], end)
    lost = max(0, outcome.lost_records - found)
    ended = "; ".join(run.ended for run in loads if not run.over and run.ended)
    return replace(outcome, log=log, lost_records=lost, found_records=found, load_ended=ended)


class GuestTestRun:
    """A test's run in one guest. ``spoiled`` says afterwards why the guest is unfit for more."""

    def __init__(self, machine: Machine, speed: Speed, test: GuestTest, symbols: Path) -> None:
        """Prepare a run of *test*; *symbols* is the System.map of the guest's kernel."""
        self.spoiled = ""
        self._symbols = symbols
        self._watchdog: Watchdog | None = None
        limit_s = speed.scale(limit_of(test.timeout_s, test.stall_s))
        self._detector = StallDetector(limit_s, speed.scale(STARVED_S))
        self._machine = machine
        self._agent = machine.agent
        self._speed = speed
        self._test = test
        self._begin = 0  # records of the recording that are older than the test
        self._end: int | None = None
        self._leaks: tuple[str, ...] = ()  # what is found of them when it is over
        self._words: list[str] = []  # what only the console got, after the recording's end

    def run(self, unfit: str) -> TestOutcome:
        """Run the test; *unfit* says why the guest cannot run anything, "" where it can."""
        begun = time.monotonic()
        with self._agent.recording() as recording:
            try:
                if unfit:
                    raise NoAnswer(unfit, Wait.GONE if self._machine.vitals.gone else Wait.LATE)
                outcome = self._insert(recording)
            except NoAnswer as error:
                outcome = self._lost(error, recording)
            seconds = time.monotonic() - begun
        log = self._log(recording)
        self._machine.sampling.end(self._marks(recording, log, outcome))
        log += self._leaks
        if outcome.ended is Ended.DIED:
            self._words = self._last_words(recording, log)
        log += self._words
        return replace(outcome, log=tuple(log), seconds=seconds, lost_records=recording.lost)

    def _insert(self, recording: Recording) -> TestOutcome:
        test = self._test
        for path, value in test.knobs:
            answer = self._agent.call("write", path, value, deadline=self._deadline(ANSWER_S))
            if not answer.ok:
                return TestOutcome(Ended.REFUSED, (), reason=f"knob {path}: {answer.text}")
        # Marks are written into the kernel's log, which is cut at them: records from before the
        # test may still be on their way when the module is loaded.
        self._machine.sampling.begin(test.module.replace("-", "_"))
        self._begin = self._mark("begins", recording)[1] or 0
        watch = Watch(self._machine.pid, self._machine.sampling, recording)
        seconds = self._speed.scale(test.timeout_s)
        deadline = self._watchdog = Watchdog(seconds, self._detector, watch.sample)
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
        """Scan for leaks: the module is unloaded, so whatever it still owns is lost."""
        try:
            self._leaks = kmemleak.found(self._agent, self._speed)
        except NoAnswer:
            self._end = None  # what the guest had to say meanwhile belongs to the test after all
            raise

    def _mark(
        self, what: str, recording: Recording, end: Deadline | None = None
    ) -> tuple[int | None, int | None]:
        """Mark the kernel's log; return the place of the mark, and the one behind it."""
        text = f"harness: test {self._test.name} {what}"
        place = self._agent.mark(text, recording, end or self._deadline(MARK_S))
        return place, None if place is None else place + 1

    def _lost(self, error: NoAnswer, recording: Recording) -> TestOutcome:
        """Say why the guest did not answer."""
        vitals = self._machine.vitals
        self.spoiled = error.what
        if error.how is Wait.LATE and not vitals.panic:
            stall = self._watchdog.stall if self._watchdog else None
            spent = stall.seconds / self._speed.scale(1.0) if stall else 0.0
            end = self._deadline(look_of(self._test.timeout_s, spent))
            self._cut_log(recording, end)
            return self._stuck(end) or self._silent(error, end)
        ended, reason = how_lost(self._machine, error)
        return TestOutcome(ended, (), reason=reason)

    def _stuck(self, end: Deadline) -> TestOutcome | None:
        """Return how the test is stuck, None where it is slow, or nothing is known of the guest."""
        if self._watchdog is None or self._watchdog.stall is None:
            return None
        stall, allowed = self._watchdog.stall, self._watchdog.seconds
        reason = f"no progress for {stall.seconds:.1f} of its {allowed:.0f} s: {stall.why}"
        found = self._examine(stall.kind, reason, end)
        # A silent guest may be its emulator's fault; a guest that sends samples is not.
        if not found.answered and not stall.told:
            return None
        kind = found.kind or stall.kind
        self.spoiled = f"{kind.value} in test {self._test.name}"
        return TestOutcome(Ended.STUCK, (), reason=reason, stuck=kind, where=found.where)

    def _silent(self, error: NoAnswer, end: Deadline) -> TestOutcome:
        reason = f"{error.what}; {self._signs_of_life()}"
        if self._watchdog is not None:
            reason += f"; {self._detector.moved}"
            if self._watchdog.stall is None:
                self._examine(Stuck.HANG, error.what, end)
        return TestOutcome(Ended.SILENT, (), reason=reason)

    def _examine(self, kind: Stuck, why: str, end: Deadline) -> Findings:
        scale = self._speed.scale(1.0)
        diagnosis = Diagnosis(self._machine, self._symbols, scale, end)
        return diagnosis.examine(self._test.module, kind, why)

    def _cut_log(self, recording: Recording, end: Deadline) -> None:
        """End the test's log here: what is printed from here on is what we ask for."""
        with contextlib.suppress(NoAnswer):
            # KUnit of 5.10 prints results without a line's end, and the kernel keeps such a record
            # to itself until the next one comes. A guest that does not even sample has no CPU for
            # an answer.
            if self._machine.sampling.silent_s < self._speed.scale(STARVED_S):
                within = end.within(self._speed.scale(LAST_MARK_S))
                self._end = self._mark("does not end", recording, within)[0]
        if self._end is None:
            self._end = len(recording.records)
            self._words = self._last_words(recording, self._log(recording))

    def _signs_of_life(self) -> str:
        beat = self._agent.beat
        if beat is None:
            return "it has shown no sign of life since it was ready"
        ago = time.monotonic() - self._agent.beat_at
        return f"its last sign of life {ago:.0f} s ago: {beat.mem_free_kb} KiB were free"

    def _marks(self, recording: Recording, log: list[str], outcome: TestOutcome) -> list[Mark]:
        """Return what happened when, for who looks at the samples."""
        records = recording.records[self._begin : self._end]
        begun = recording.records[self._begin - 1] if self._begin else next(iter(records), None)
        if begun is None:
            return []
        times = [record.usec for record in records]
        found = list(marks(read_log(log), times, begun.usec))
        stall = self._watchdog.stall if self._watchdog else None
        if stall is not None and outcome.stuck is not None:
            last = max((mark.t for mark in found), default=0.0)
            text = f"{outcome.stuck.value} in {outcome.where}"
            found.append(Mark(last + stall.seconds, "stuck", text))
        return found

    def _log(self, recording: Recording) -> list[str]:
        records = recording.records[self._begin : self._end]
        return ["\n".join(lines_of(record.text)) for record in records]

    def _last_words(self, recording: Recording, log: list[str]) -> list[str]:
        """Return what only the console still got: a dying kernel forwards nothing."""
        last = recording.records[-1] if recording.records else self._agent.last_record
        return newer_than(self._machine.console.lines, last.usec if last else 0, log)

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(self._speed.scale(seconds))
