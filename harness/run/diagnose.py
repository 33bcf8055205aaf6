# SPDX-License-Identifier: GPL-2.0-only
"""Diagnosis of a guest whose test does not end: the function and task it is stuck in.

Three ways, from the most telling to the one that always works: the kernel's own dump of tasks and
memory, asked for through the agent; QEMU's registers and a walk along the frames, where the guest
answers nobody; and last an NMI, of which a kernel that was told ``unknown_nmi_panic`` dies with
the backtrace of its stuck processor, where the board has such a thing.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.guest.machine import Machine
from harness.guest.qemu.threads import describe_threads
from harness.guest.transport.agent import NoAnswer
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Stuck
from harness.model.symbols import SystemMap, in_kernel
from harness.run.stall import STARVED_S
from harness.verdict.task_dump import (
    culprit,
    function_of,
    processor,
    tasks_of,
    two_words,
    unwound,
)

NAME = "stuck.txt"
SYSRQ = "/proc/sysrq-trigger"
# All tasks with their stacks, those that wait for something, memory; processors are looked at
# from outside, as with one of them the kernel's own backtrace (l) shows who asked for it.
KEYS = "twm"
DUMP_S = 10.0  # for one of them, on a guest of reference speed
STARVED_DUMP_S = 1.0  # the same where not even the sampler gets any CPU
LOOKS = 5  # at the registers
PAUSE_S = 0.1  # between them
QUIET_S = 0.02  # of the console, after which all is here that was printed before an answer
NMI_S = 3.0  # from an NMI to the kernel's end by it
MAX_LINES = 3900  # of a dump; the console keeps 4000
_SCHEDULING = re.compile(
    r"cpu_startup_entry|do_idle|default_idle|cpuidle|arch_cpu_idle|native_\w*halt"
)


@dataclass(frozen=True)
class Findings:
    """The result of a diagnosis."""

    answered: bool = False  # by QEMU, or by the kernel itself
    kind: Stuck | None = None  # None: nothing that was seen tells
    where: str = ""  # function of the kernel
    task: str = ""  # its name, where a task is known


class Diagnosis:
    """The examination of one guest; it writes ``stuck.txt`` into the guest's folder."""

    def __init__(self, machine: Machine, symbols: Path, scale: float, end: Deadline) -> None:
        """Prepare to examine *machine*; *symbols* is its kernel's System.map, if there is one.

        *scale* is how much slower than a reference guest it is. The examination is over at
        *end*, with what was seen until then.
        """
        self._machine = machine
        self._system_map = symbols
        self._scale = scale
        self._end = end
        self._text: list[str] = []

    def examine(self, module: str, kind: Stuck, why: str) -> Findings:
        """Find out where the test *module* is stuck; *kind* is what it looks like from outside."""
        self._say(why)
        findings = Findings()
        busy = Counter[str]()
        try:
            busy = self._processors()
            findings = Findings(
                answered=True, kind=kind, where=max(busy, key=busy.__getitem__, default="")
            )
        except GuestError as error:
            # The reason why an emulator is mute shows in its threads, if anywhere.
            threads = (f"  {line}" for line in describe_threads(self._machine.pid))
            self._say("", f"processors: {error.what}", *threads)
        findings = self._tasks(module, kind) or findings
        if not findings.task and busy:
            self._interrupt()
        self._say(
            "", f"seen in {self._end.spent:.1f} s; there were {self._end.seconds:.1f} s for it"
        )
        path = self._machine.folder / NAME
        path.write_text("\n".join(self._text) + "\n", encoding="utf-8", errors="backslashreplace")
        return findings

    def _say(self, *lines: str) -> None:
        self._text.extend(lines)

    # ------------------------------------------------------------ from outside

    def _processors(self) -> Counter[str]:
        """Look at the processors a few times; return how often each function was seen at work."""
        text = self._system_map.read_text("ascii") if self._system_map.is_file() else ""
        symbols = SystemMap(text)
        seen: Counter[str] = Counter()
        # The first answer may take longer: without QEMU nothing can be said.
        registers = self._ask("info registers -a", Deadline(DUMP_S * self._scale))
        for look in range(1, LOOKS + 1):
            for number, one in enumerate(_each(registers)):
                stack = self._stack(symbols, *one) if number == 0 else [symbols.name(one[0])]
                self._say("", f"processor {number}, look {look}:", *(f"  {n}" for n in stack))
                if in_kernel(one[0]) and not any(_SCHEDULING.match(name) for name in stack):
                    seen[next(filter(None, map(function_of, stack)), stack[0])] += 1
            if look == 1:
                self._say("", registers.rstrip())
            if self._end.passed or look == LOOKS:
                break
            time.sleep(PAUSE_S)
            try:
                registers = self._ask("info registers -a")
            except GuestError as error:  # what was seen so far has to do
                self._say("", f"processors: {error.what}")
                break
        return seen

    def _stack(self, symbols: SystemMap, counter: int, frame: int) -> list[str]:
        """Return the names of the first processor's stack: the monitor reads memory as it does."""

        def read(address: int) -> tuple[int, int] | None:
            try:
                return two_words(self._ask(f"x /2gx {address:#x}"))
            except GuestError:  # no time is left: the stack ends here
                return None

        return [symbols.name(address) for address in unwound(read, counter, frame)]

    def _ask(self, line: str, deadline: Deadline | None = None) -> str:
        deadline = deadline or self._within(DUMP_S)
        return self._machine.monitor.human(line, deadline=deadline).replace("\r", "")

    def _interrupt(self) -> None:
        """Send an NMI; where it makes the kernel die, its last words are on the console."""
        before = self._machine.console.lines
        try:
            self._machine.monitor.execute("inject-nmi", deadline=self._within(DUMP_S))
        except GuestError:
            return  # this board has none
        self._machine.wait_end(self._within(NMI_S))
        self._say("", "after an NMI:", *_since(before, self._machine.console.lines))

    # ------------------------------------------------------------ from inside

    def _tasks(self, module: str, kind: Stuck) -> Findings | None:
        """Ask the kernel for its tasks; None where nobody answers, or none runs the test."""
        dump: list[str] = []
        starved = self._machine.sampling.silent_s > STARVED_S * self._scale
        patience = STARVED_DUMP_S if starved else DUMP_S
        for key in KEYS:
            before = self._machine.console.lines
            try:
                self._machine.agent.call("write", SYSRQ, key, deadline=self._within(patience))
            except NoAnswer as error:
                self._say("", f"sysrq {key}: {error.what}")
                break
            self._drain()
            lines = list(_since(before, self._machine.console.lines))
            self._say("", f"sysrq {key}:", *lines)
            dump += lines if key == KEYS[0] else []
        task = culprit(tasks_of(dump), module, kind)
        if task is None:
            return None
        found = Stuck.LIVELOCK if task.state == "R" else Stuck.HANG
        self._say(
            "", f"the test is stuck in task {task.name} (state {task.state}), in {task.where}"
        )
        return Findings(True, found, task.where, task.name)

    def _drain(self) -> None:
        """Let the console catch up: its bytes may wait longer to be read than an answer does."""
        end = self._within(10 * QUIET_S)  # somebody may print for ever
        time.sleep(QUIET_S)
        while self._machine.console.silent_s < QUIET_S and not end.passed:
            time.sleep(QUIET_S)

    def _within(self, seconds: float) -> Deadline:
        return self._end.within(seconds * self._scale)


def _each(registers: str) -> list[tuple[int, int]]:
    """Return counter and frame pointer of each processor."""
    parts = re.split(r"^CPU#\d+$", registers, flags=re.M)
    return [found for found in map(processor, parts) if found is not None]


def _since(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    """Return what came after *before*; the console forgets the oldest of its lines."""
    if not before:
        return now[-MAX_LINES:]
    for index in range(len(now) - 1, -1, -1):
        if now[index] is before[-1]:
            return now[index + 1 :]
    return now
