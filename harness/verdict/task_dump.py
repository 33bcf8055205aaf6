# SPDX-License-Identifier: GPL-2.0-only
"""Stacks of tasks: from the kernel's dump of its tasks, or unwound from a processor's registers.

``sysrq t`` prints all tasks (name, state, stack), from 5.10 to 7.x and on every architecture in
nearly the same format. Where the guest cannot be asked for it, QEMU has the registers, and frame
pointers lead on: x86_64 and arm64 keep the previous frame at [fp] and the return address at
[fp + 8].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.model.results import Stuck
from harness.model.symbols import in_kernel, plain_name
from harness.verdict.crash_function import waits_or_interrupts
from harness.verdict.klog import log_lines

MAX_FRAMES = 64
MAX_TASKS = 2000
_TASK = re.compile(
    r"task:(?P<name>.{1,40}?)\s+state:(?P<state>[A-Z])\b.*?\bpid:\s*(?P<pid>\d{1,9})"
)
# Where an interrupt came in, x86 says "RIP: 0010:" before the function and arm64 "(P)" behind it
# (7.2; other letters in brackets stand behind other frames).
_FRAME = re.compile(
    r"\s*(?:\[<[0-9a-f]+>\] |RIP: 0010:)?(?P<guess>\? )?"
    r"(?P<function>[\w.$]{1,120})\+0x[0-9a-f]+/0x[0-9a-f]+"
    r"(?: \[(?P<module>[\w-]{1,60})[^\]]*\])?(?: \([A-Z]+\))?$"
)
_COUNTER = re.compile(r"\b(?:RIP|PC)=([0-9a-f]{16})\b")
_FRAME_POINTER = re.compile(r"\b(?:RBP|X29)=([0-9a-f]{16})\b")
_WORDS = re.compile(r": (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})\s*$")
_RUNS_OTHERS = re.compile(r"kunit_try_catch_run|wait_for_com")


@dataclass(frozen=True)
class Frame:
    """One function of a stack."""

    function: str
    module: str = ""  # "" for the kernel's own


@dataclass(frozen=True)
class Task:
    """A task as the kernel dumped it."""

    name: str
    pid: int
    state: str  # one letter: R, S, D ...
    stack: tuple[Frame, ...]  # innermost first

    @property
    def where(self) -> str:
        """The function that waits or works, as :func:`top_of`."""
        return top_of(self.stack)


def tasks_of(lines: Iterable[str]) -> tuple[Task, ...]:
    """Return the tasks of a ``sysrq t`` in *lines*, a kernel's log; never raises."""
    tasks: list[Task] = []
    head: re.Match[str] | None = None
    stack: list[Frame] = []

    def finish() -> None:
        if head is not None and len(tasks) < MAX_TASKS:
            name = head["name"].strip()
            tasks.append(Task(name, int(head["pid"]), head["state"], tuple(stack)))
        stack.clear()

    for line in log_lines(lines):
        found = _TASK.match(line.text)
        if found:
            finish()
            head = found
        elif head is not None and len(stack) < MAX_FRAMES:
            frame = _FRAME.match(line.text)
            # A frame marked "?" may be a left-over on the stack.
            if frame and not frame["guess"]:
                stack.append(Frame(plain_name(frame["function"]), frame["module"] or ""))
    finish()
    return tuple(tasks)


def culprit(tasks: Sequence[Task], module: str, kind: Stuck) -> Task | None:
    """Return the task in which the test *module* is stuck; None where none runs its code.

    Several tasks may: the one that runs the case, and the one that waits for its end.
    """
    name = module.replace("-", "_")
    candidates = []
    for task in tasks:
        mine = [i for i, frame in enumerate(task.stack) if frame.module.replace("-", "_") == name]
        if mine:
            above = task.stack[: mine[0]]
            runs_others = any(_RUNS_OTHERS.search(frame.function) for frame in above)
            wanted = task.state == ("R" if kind is Stuck.LIVELOCK else "D")
            candidates.append((runs_others, not wanted, mine[0], task.pid, task))
    return min(candidates, key=lambda c: c[:4])[4] if candidates else None


def top_of(stack: Sequence[Frame]) -> str:
    """Return the innermost function of *stack* outside of scheduler, locks and interrupts."""
    for frame in stack:
        if not waits_or_interrupts(frame.function):
            return frame.function
    return stack[0].function if stack else ""


# ---------------------------------------------------------------- bare addresses


def function_of(name: str) -> str:
    """Return the function of "function+0x12", "" for a bare address."""
    return "" if name.startswith("0x") else name.partition("+")[0]


def processor(registers: str) -> tuple[int, int] | None:
    """Return program counter and frame pointer from QEMU's ``info registers``, None without."""
    counter, frame = _COUNTER.search(registers), _FRAME_POINTER.search(registers)
    if counter is None or frame is None:
        return None
    return int(counter[1], 16), int(frame[1], 16)


def two_words(dump: str) -> tuple[int, int] | None:
    """Return the two words of QEMU's ``x /2gx`` of one address, None if that is not mapped."""
    found = _WORDS.search(dump)
    return (int(found[1], 16), int(found[2], 16)) if found else None


def unwound(
    read: Callable[[int], tuple[int, int] | None], counter: int, frame: int
) -> Iterator[int]:
    """Yield the addresses of a stack, innermost first; *read* returns the two words at an address.

    A frame that does not lie above the one before is the end: stacks grow down.
    """
    yield counter
    for _ in range(MAX_FRAMES):
        words = read(frame) if in_kernel(frame) else None
        if words is None or not in_kernel(words[1]):
            return
        yield words[1]
        if words[0] <= frame:
            return
        frame = words[0]
