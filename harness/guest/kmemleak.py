# SPDX-License-Identifier: GPL-2.0-only
"""kmemleak, where the kernel has it: memory that a test leaves with nothing pointing to it.

A scan walks all memory and takes seconds, so it is made when a test is over, and in a guest that
has just booted: what booting left is not a test's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.guest.transport.agent import ANSWER_S, Agent, NoAnswer
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.values import Speed

KMEMLEAK = "/sys/kernel/debug/kmemleak"
SCANS_S = 120.0  # two scans on a guest of reference speed take some seconds and the pause
MAX_LINES = 2000  # of a report; a test that leaks by the thousand has been found out by then
# The first scan takes a checksum of all that nothing points to, the second reports what has kept
# it: memory that changes is in use. Nothing younger than 5 s (MSECS_MIN_AGE) is reported.
_STOP = "scan=off"  # its own thread, if it has one; refused once kmemleak has given up
_SCANS = f"echo scan >{KMEMLEAK} && sleep 5.5 && echo scan >{KMEMLEAK}"
_FOUND = f"{_SCANS} && cat {KMEMLEAK}"
_FORGET = f"{_SCANS} && echo clear >{KMEMLEAK}"
_ABSENT = ("No such file", "Not a directory")


class Askable(Protocol):
    """A guest, as far as it matters here."""

    def write(self, path: str, value: str) -> None: ...

    def exec(self, argv: Sequence[str], timeout_s: float) -> object: ...


def forget(guest: Askable) -> None:
    """Let a guest that has just booted report what it leaked so far, and forget it.

    Raises:
        NoAnswer: the guest died, or did not answer.
    """
    try:
        guest.write(KMEMLEAK, _STOP)
        guest.exec(("/bin/sh", "-c", _FORGET), SCANS_S)
    except NoAnswer:
        raise
    except GuestError:
        return  # it has no kmemleak, or one that has given up


def found(agent: Agent, speed: Speed) -> tuple[str, ...]:
    """Return kmemleak's report on all that was allocated since :func:`forget`, as lines.

    Empty where nothing leaked, and where the kernel has no kmemleak; one line where it gave up.

    Raises:
        NoAnswer: the guest died, or did not answer.
    """
    answer = agent.call("write", KMEMLEAK, _STOP, deadline=Deadline(speed.scale(ANSWER_S)))
    if not answer.ok and answer.text.startswith(_ABSENT):
        return ()
    if not answer.ok:
        return (f"harness: leaks cannot be told: kmemleak has given up ({answer.text})",)
    lines, wrong = _shell(agent, speed, _FOUND)
    if wrong:
        return (*lines[-1:], f"harness: leaks cannot be told: {wrong}")
    more = (f"harness: {len(lines) - MAX_LINES} lines more",) if len(lines) > MAX_LINES else ()
    return (*lines[:MAX_LINES], *more)


def _shell(agent: Agent, speed: Speed, script: str) -> tuple[list[str], str]:
    """Run *script*; return what it printed, and how it failed ("" where it did not)."""
    # In a shell, as PID 1 has to go on forwarding the kernel's log.
    deadline = Deadline(speed.scale(SCANS_S))
    done = agent.run("exec", "/bin/sh", "-c", script, deadline=deadline)
    if done.end is None:
        return [], done.answer.text if done.answer else "no end"
    return done.outs, "" if done.end.well else str(done.end)
