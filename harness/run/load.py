# SPDX-License-Identifier: GPL-2.0-only
"""One load in one guest: started, ready, stopped. A program, or a module of the kernel's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from harness.guest.guest import Guest
from harness.guest.phase_log import StuckInKernel
from harness.guest.transport.agent import NoAnswer, Request
from harness.guest.transport.protocol import End
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.values import Load

LOADS = "/harness/loads"
SETUP_S = 30.0  # for one command of a load's set-up
REMOVE_S = 30.0  # for a module to go
STOP_S = 15.0  # for PID 1 to send a signal
TERM_S = 20.0  # from SIGTERM to SIGKILL
KILLED_S = 20.0  # from SIGKILL to its end: what then goes on is stuck in the kernel
LAST_SAID = 200  # characters of its last line


def path_of(load: Load) -> str:
    """Return where *load* lies in a guest."""
    return f"{LOADS}/{load.name}{'.ko' if load.module else ''}"


class LoadRun:
    """One run of *load* in *guest*."""

    def __init__(self, guest: Guest, load: Load) -> None:
        self.load = load
        self._guest = guest
        self._agent = guest.agent
        self._deadline = guest.deadline
        self._asked: Request | None = None  # of a program that runs
        self._inserted = False
        self._ready = False
        self._told = False  # to end
        self.over = False  # stopped, or lost with its guest
        self.killed = False  # as it did not end when it was told to
        self.broke = ""  # how it did not end well, where that was so

    @property
    def ended(self) -> str:
        """The end of a load that ended by itself; else ""."""
        if not self._ready or self._told or self._asked is None or self._asked.end is None:
            return ""
        return f"{self.load.name}: {self._asked.end}"

    @property
    def well(self) -> bool:
        """Whether the load ended as it should: nothing of it is left."""
        return self._asked is not None and self._asked.end is not None and self._asked.end.well

    @property
    def said(self) -> tuple[str, ...]:
        """The lines a program printed so far."""
        return tuple(self._asked.outs) if self._asked else ()

    @contextlib.contextmanager
    def kept_up(self, words: Sequence[str] = ()) -> Iterator[LoadRun]:
        """Keep the load, told *words*, running while inside.

        A guest that dies or hangs while the load comes or goes raises nothing here: the test
        that follows says so, and the guest's ``phase_log``.

        Raises:
            GuestError: the load itself is broken: a setup command fails, it ends unready, or it
                does not get ready while the guest is well. It is stopped.
        """
        guest, name = self._guest, self.load.name
        try:
            with guest.phase_log.phase(f"while load {name} was started"):
                self.start(words)
            yield self
        finally:
            if guest.alive:
                with guest.phase_log.phase(f"while load {name} was stopped", after=True):
                    self.stop()
            self.forget()

    def start(self, words: Sequence[str]) -> None:
        """Start the load, told *words*, and wait until it is ready.

        A load that does not get ready has to be stopped too.

        Raises:
            NoAnswer: the guest is gone, or it took too long.
            GuestError: it is broken: a setup command fails, or it ends unready.
        """
        for command in self.load.setup:
            done = self._agent.run("exec", *command, deadline=self._deadline(SETUP_S))
            if done.end is None or not done.end.well:
                raise GuestError(
                    f"load {self.load.name}: '{' '.join(command)}' ended with "
                    f"{done.end or (done.answer and done.answer.text)}",
                    detail="\n".join(done.outs),
                )
        if self.load.module:
            self._insert(words)
        else:
            self._launch(words)

    def _insert(self, words: Sequence[str]) -> None:
        deadline = self._deadline(self.load.ready_timeout_s)
        arguments = (path_of(self.load), *self.load.args, *words)
        done = self._agent.run("insmod", *arguments, deadline=deadline)
        if done.end is None or not done.end.well:
            why = done.end or (done.answer and done.answer.text)
            raise GuestError(f"load {self.load.name}: its module does not go in: {why}")
        self._inserted = True

    def _launch(self, words: Sequence[str]) -> None:
        deadline = self._deadline(self.load.ready_timeout_s)
        arguments = (path_of(self.load), *self.load.args, *words)
        asked = self._asked = self._agent.start(*arguments, deadline=deadline)
        heard = self._agent.hear(asked, "ready", deadline)
        if heard is not Wait.MET:
            raise NoAnswer(
                f"load {self.load.name}: not ready within {deadline.seconds:.0f} s", heard
            )
        if "ready" not in asked.outs:
            # The last line is the reason, as a rule: that the guest is too large for it, say.
            last = f": {asked.outs[-1][:LAST_SAID]}" if asked.outs else ""
            raise GuestError(
                f"load {self.load.name} ended before it was ready: {asked.end}{last}",
                detail="\n".join(asked.outs[-20:]),
            )
        self._ready = True

    def stop(self) -> None:
        """Stop the load, in a guest that is well; ``broke`` says afterwards what went wrong.

        Raises:
            NoAnswer: the guest is gone, or does not answer.
            StuckInKernel: nothing ends it.
        """
        if self._inserted:
            self._remove()
        elif self._asked is not None:
            self._end(self._asked)

    def forget(self) -> None:
        """Ignore the load from now on: it is stopped, or was lost with its guest."""
        self.over = True
        if self._asked is not None:
            self._agent.forget(self._asked)

    def _remove(self) -> None:
        name = self.load.module.replace("-", "_")
        deadline = self._deadline(REMOVE_S)
        try:
            answer = self._agent.call("rmmod", name, deadline=deadline)
        except NoAnswer as error:
            if error.how is not Wait.LATE:
                raise
            raise StuckInKernel(
                f"load {self.load.name} is stuck in the kernel: its module was not unloaded "
                f"within {deadline.seconds:.0f} s"
            ) from None
        if not answer.ok:
            self.broke = f"load {self.load.name} cannot be unloaded: {answer.text}"

    def _end(self, asked: Request) -> None:
        if asked.end is not None:
            return
        name, self._told = self.load.name, True
        grace = self._deadline(TERM_S)
        words = (str(asked.id), f"{grace.seconds * 1000:.0f}")
        self._agent.call("stop", *words, deadline=self._deadline(STOP_S))
        rest = self._deadline(TERM_S + KILLED_S)
        match self._agent.wait_end(asked, rest):
            case Wait.LATE:
                raise StuckInKernel(
                    f"load {name} is stuck in the kernel: killed, it did not end within "
                    f"{rest.seconds - grace.seconds:.0f} s"
                )
            case Wait.GONE | Wait.CUT as how:
                raise NoAnswer(f"the guest is gone (load {name} was to end)", how)
        self._note_end(asked.end, grace)

    def _note_end(self, end: End | None, grace: Deadline) -> None:
        if end is not None and not end.well:
            self.killed = end.how == "signal" and grace.passed
            how = f"{end}"
            if self.killed:
                how += f": {grace.seconds:.0f} s after SIGTERM it still ran, and had to be killed"
            # A load that never got ready is reported already.
            self.broke = (
                f"load {self.load.name} was stopped and ended with {how}" if self._ready else ""
            )
