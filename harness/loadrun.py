# SPDX-License-Identifier: GPL-2.0-only
"""One load in one guest: started, ready, stopped. A program, or a module of the kernel's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.deadline import Deadline
from harness.errors import GuestError
from harness.model import Load
from harness.transport.agent import Agent, NoAnswer, Request
from harness.transport.pump import Wait

LOADS = "/harness/loads"
SETUP_S = 30.0  # for one command of a load's set-up
STOP_S = 10.0  # for a module to go
# For a program to end: PID 1 kills it after 5. What then goes on is stuck in the kernel.
END_S = 30.0
SYSRQ_S = 5.0  # for the list of blocked tasks


def path_of(load: Load) -> str:
    """Return where *load* lies in a guest."""
    return f"{LOADS}/{load.name}{'.ko' if load.module else ''}"


class LoadRun:
    """A load's run. *deadline* makes deadlines at the guest's speed."""

    def __init__(self, agent: Agent, load: Load, deadline: Callable[[float], Deadline]) -> None:
        self.load = load
        self._agent = agent
        self._deadline = deadline
        self._asked: Request | None = None  # of a program that runs
        self._inserted = False
        self.stuck = ""  # that it could not be killed, where that was so

    @property
    def ended(self) -> str:
        """How it ended, where it did so by itself; else ""."""
        if self._asked is None or self._asked.end is None:
            return ""
        return f"{self.load.name}: {self._asked.end}"

    @property
    def said(self) -> tuple[str, ...]:
        """What a program printed so far."""
        return tuple(self._asked.outs) if self._asked else ()

    def start(self, words: Sequence[str]) -> None:
        """Start it, told *words*, and wait until it is ready.

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
        asked = self._agent.start(*arguments, deadline=deadline)
        heard = self._agent.hear(asked, "ready", deadline)
        if heard is Wait.MET and "ready" in asked.outs:
            self._asked = asked
            return
        self._agent.forget(asked)
        if heard is Wait.MET:
            raise GuestError(
                f"load {self.load.name} ended before it was ready: {asked.end}",
                detail="\n".join(asked.outs[-20:]),
            )
        raise NoAnswer(f"not ready within {deadline.seconds:.0f} s", heard)

    def stop(self, alive: bool) -> str:
        """Stop it, in a guest that is *alive*; return why that guest is unfit then, or ""."""
        try:
            if self._inserted and alive:
                name = self.load.module.replace("-", "_")
                answer = self._agent.call("rmmod", name, deadline=self._deadline(STOP_S))
                return "" if answer.ok else f"load {self.load.name} cannot be unloaded"
            if self._asked is not None and self._asked.end is None and alive:
                deadline = self._deadline(END_S)
                self._agent.call("stop", str(self._asked.id), deadline=deadline)
                if self._agent.wait_end(self._asked, deadline) is Wait.LATE:
                    self.stuck = (
                        f"load {self.load.name} is stuck in the kernel: killed, it did not end "
                        f"within {deadline.seconds:.0f} s (blocked tasks are in the log)"
                    )
                    sysrq = ("write", "/proc/sysrq-trigger", "w")
                    self._agent.call(*sysrq, deadline=self._deadline(SYSRQ_S))
                    return self.stuck
        except NoAnswer as error:
            return error.what
        finally:
            if self._asked is not None:
                self._agent.forget(self._asked)
        return ""
