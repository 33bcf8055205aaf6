# SPDX-License-Identifier: GPL-2.0-only
"""The wait for a guest to become ready, and what is found of one that never will be."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.guest.boot_death import (
    behind_panic,
    frames_of,
    kept_lines,
    kind_of,
    lines_in_memory,
    needs_mib,
    place_words,
    words_of,
)
from harness.guest.boot_watch import FIRST, BootWatch, Patience
from harness.guest.machine import Machine
from harness.guest.processor import Look, Processor, Site, common, outside_idle
from harness.guest.transport.protocol import Ready
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec

TRIPLE_FAULT = "Triple fault"  # how QEMU logs one
STACKS = 24  # looks at a kernel that runs in one place
PAUSE_S = 0.02  # between them
LOG_LIMIT = 2**20  # bytes of the kernel's log buffer that are read


def await_ready(
    machine: Machine,
    spec: GuestSpec,
    deadline: Deadline,
    patience: Patience = FIRST,
    *,
    paused: bool = False,
) -> Ready | BootDeath:
    """Wait until the guest of *machine* is ready; return its death where it will never be.

    The emulator is stopped then. *paused*: it is one that pauses where others end.

    Raises:
        GuestError: QEMU failed.
    """
    begun = time.monotonic()
    look = Look(machine, spec)
    needs = needs_mib(spec, look.map)
    too_large = needs > spec.ram_mib
    watch = BootWatch(machine, spec, look, patience, paused=paused, too_large=too_large)
    how, seen = watch.wait(deadline)
    if machine.agent.ready is not None:
        return machine.agent.ready
    if seen is None:
        machine.settle()
    failure = machine.failure()
    if failure is not None and not too_large and not machine.vitals.panic:
        raise failure
    if how is Wait.CUT:
        raise GuestError("QEMU closed the agent's port before the guest was ready")
    seen = seen or Death.RESET
    alive = machine.vitals.exit_code is None
    stack, where, registers = _examined(look, seen, watch.stacks) if alive else ((), "", "")
    remembered = _log_in_memory(look) if alive else ()
    machine.stop()
    # The console is complete only when everything was read.
    if seen is Death.RESET and TRIPLE_FAULT in machine.stderr:
        seen = Death.TRIPLE_FAULT
    console = machine.console.lines
    lines = console if len(console) >= len(remembered) else remembered
    kind = Death.RAM if too_large else kind_of(seen, lines, stack)
    return BootDeath(
        kind=kind,
        what=words_of(kind, lines, where, spec, too_large=too_large),
        frames=frames_of(behind_panic(stack)),
        console=console,
        early_log=kept_lines(lines) if paused else (),
        registers=registers,
        seconds=time.monotonic() - begun,
    )


def _examined(
    look: Look, seen: Death, before: Sequence[tuple[Site, ...]]
) -> tuple[Sequence[Site], str, str]:
    """Return the stack, where that is in words, and all of it as a text.

    Of a kernel that spins, it is what this look has in common with those *before*.
    """
    stacks = list(before) if seen is Death.SPINNING else []
    processors: tuple[Processor, ...] = ()
    try:
        for number in range(STACKS if seen is Death.SPINNING else 1):
            time.sleep(PAUSE_S if number else 0.0)
            processors = look.processors()
            stacks.append(look.stack(processors))
    except GuestError:  # what was seen until then has to do
        pass
    stack = common(stacks)
    where = place_words(outside_idle(behind_panic(stack)))
    if not any(stacks) and processors and look.symbols:
        where = "outside of the kernel" if processors[0].privileged else "in a program"
    title = f"{seen.value} {where}".strip() + "; the stack:"
    named = (f"  {site.symbol}{'  (trapped here)' * site.trapped}" for site in stack)
    texts = (one.text for one in processors)
    return stack, where, "\n".join((title, *named, "", *texts))


def _log_in_memory(look: Look) -> tuple[str, ...]:
    """Return the kernel's log out of the guest's memory: no console has to speak for it."""
    symbols = look.symbols
    start = symbols.address("__log_buf") if symbols else None
    if symbols is None or start is None:
        return ()
    size = min(symbols.after(start) - start, LOG_LIMIT)
    raw = look.read_physical(symbols.physical(start), size) or look.read(start, size)
    return lines_in_memory(raw or b"")
