# SPDX-License-Identifier: GPL-2.0-only
"""The examination of a kernel that does not boot: boot it once more, and look at how it dies.

The second boot has a console that speaks early, and an emulator that pauses where others end, so
that after a reset or a triple fault the registers are as they were::

    try:
        with boot(spec, folder) as guest:
            ...
    except BootFailure as failure:
        death = examine(spec, failure.death, folder)
"""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

from harness.guest.boot_ready import await_ready
from harness.guest.boot_watch import AGAIN
from harness.guest.guest import scratch_disks
from harness.guest.machine import Machine
from harness.guest.qemu.argv import Channels, qemu_argv
from harness.host.deadline import Deadline, host_speed
from harness.host.files import write_whole
from harness.model.errors import GuestError
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec

EARLY_LOG, REGISTERS = "early-console.log", "registers.txt"
CONSOLE = "console.log"
CAME_UP = "it came up"
EVIDENCE = (EARLY_LOG, REGISTERS)
# After a reset the emulator pauses, and it has said what the processor was reset for.
_EXAMINED = ("-no-shutdown", "-d", "cpu_reset")
SAME_TIME = 2.0  # times what the first boot took
SECOND_S = 20.0  # from launch to ready, or to the same death
# Deaths that end the emulator: the first boot may show no more than that it ended.
_ENDS = frozenset(
    {
        *(Death.RESET, Death.TRIPLE_FAULT, Death.PANIC),
        *(Death.RAM, Death.INITRAMFS, Death.INIT),
    }
)
_INNERMOST = 3  # functions of a stack of which two deaths in one place share one


def examine(spec: GuestSpec, first: BootDeath, folder: Path | None = None) -> BootDeath:
    """Boot *spec*, which died as *first*, once more, and return what both boots show together.

    Leaves its evidence (:func:`write_evidence`) in *folder*. Takes some seconds; of a kernel that
    spins or is silent, at most ``SECOND_S`` on an idle host. An emulator that fails where it did
    not before leaves *first* as it is, with a ``second`` that says so.

    Raises:
        InfraError: QEMU cannot be started.
    """
    early = replace(spec, cmdline=(*spec.cmdline, *spec.arch.early_console))
    # A kernel that got far before it died needs its time to get there again.
    far = SAME_TIME * first.seconds if first.kind in _ENDS else 0.0
    clock = Deadline(max(far, host_speed().scale(SECOND_S)))
    try:
        death = together(first, _second(early, clock))
    except GuestError as error:
        death = replace(first, second=f"it could not be booted: {error.what}")
    death = replace(death, seconds=first.seconds + clock.spent)
    if folder is not None:
        write_evidence(death, folder)
    return death


def _second(spec: GuestSpec, deadline: Deadline) -> BootDeath | None:
    """Boot *spec*, which has an early console, and return its death; None: it came up."""

    def command(channels: Channels) -> tuple[str, ...]:
        return (*qemu_argv(spec, channels, disks=disks), *_EXAMINED)

    with (
        tempfile.TemporaryDirectory(prefix="kph-examine-") as name,
        scratch_disks(spec, Path(name)) as disks,
        Machine(command, Path(name)) as machine,
    ):
        ended = await_ready(machine, spec, deadline, AGAIN, paused=True)
        if not isinstance(ended, BootDeath):
            return None
        argv = shlex.join(machine.argv)
        return replace(ended, registers=f"{ended.registers}\n\n{argv}".strip())


def together(first: BootDeath, second: BootDeath | None) -> BootDeath:
    """Return what the *first* and the *second* boot show; a second one that came up is None."""
    if second is None:
        return replace(first, again=False, second=CAME_UP)
    evidence = replace(
        first,
        early_log=second.early_log,
        registers=second.registers or first.registers,
    )
    if not _alike(first, second):
        return replace(evidence, again=False, second=second.what)
    # The second boot saw more, unless it was given up sooner.
    told = first if second.kind is Death.SILENT or not second.frames else second
    told = second if first.kind is Death.RESET else told
    return replace(evidence, kind=told.kind, what=told.what, frames=told.frames, again=True)


def _alike(first: BootDeath, second: BootDeath) -> bool:
    """Say whether two boots died in the same way, as far as both were seen."""
    if first.kind in _ENDS or second.kind in _ENDS:
        return first.kind in _ENDS and second.kind in _ENDS
    if Death.SILENT in (first.kind, second.kind):
        return True
    here, there = (
        {frame.symbol.partition("+")[0] for frame in death.frames[:_INNERMOST]}
        for death in (first, second)
    )
    return first.kind is second.kind and (not here or not there or bool(here & there))


def write_evidence(death: BootDeath, folder: Path) -> None:
    """Write console.log, early-console.log and registers.txt of *death* into *folder*.

    The folder is made if need be; a log that is empty is none, and one that is there stays.
    """
    registers = f"{death.what}\n\n{death.registers}\n"
    logs = ((CONSOLE, death.console), (EARLY_LOG, death.early_log))
    files = [(name, "".join(f"{line}\n" for line in lines)) for name, lines in logs]
    for name, text in (*files, (REGISTERS, registers)):
        if text and not (folder / name).exists():
            write_whole(folder / name, text)
