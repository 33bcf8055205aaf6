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
import time
from dataclasses import replace
from pathlib import Path

from harness.guest.boot_ready import await_ready
from harness.guest.boot_watch import AGAIN
from harness.guest.guest import scratch_disks
from harness.guest.machine import Machine
from harness.guest.qemu.argv import Channels, qemu_argv
from harness.host.deadline import Deadline, host_speed
from harness.host.files import write_whole
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec

EARLY_LOG, REGISTERS, EARLY_ARGV = "early-console.log", "registers.txt", "early-argv.txt"
EVIDENCE = (EARLY_LOG, REGISTERS, EARLY_ARGV)
# After a reset the emulator pauses, and it has said what the processor was reset for.
_EXAMINED = ("-no-shutdown", "-d", "cpu_reset")
SAME_TIME = 2.0  # a second boot has so many times what the first took
LEAST_S = 20.0  # and this at least
# Deaths that end the emulator: the first boot may show no more than that it ended.
_ENDS = frozenset(
    {
        *(Death.RESET, Death.TRIPLE_FAULT, Death.PANIC),
        *(Death.RAM, Death.INITRAMFS, Death.INIT),
    }
)
_INNERMOST = 3  # functions of a stack of which two deaths in one place share one


def examine(spec: GuestSpec, first: BootDeath, folder: Path) -> BootDeath:
    """Boot *spec*, which died as *first*, once more, and return what both boots show together.

    Leaves early-console.log, registers.txt and early-argv.txt in *folder*, which is made if need
    be. Takes some seconds; where the first boot was silent to its end, as long again.

    Raises:
        GuestError: QEMU failed.
        InfraError: QEMU cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    early = replace(spec, cmdline=(*spec.cmdline, *spec.arch.early_console))

    def command(channels: Channels) -> tuple[str, ...]:
        return (*qemu_argv(early, channels, disks=disks), *_EXAMINED)

    seconds = max(LEAST_S * host_speed().factor, SAME_TIME * first.seconds)
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="kph-examine-") as name,
        scratch_disks(spec, Path(name)) as disks,
        Machine(command, Path(name)) as machine,
    ):
        ended = await_ready(machine, early, Deadline(seconds), AGAIN, paused=True)
        argv = shlex.join(machine.argv)
    second = ended if isinstance(ended, BootDeath) else None
    death = together(first, second, first.seconds + time.monotonic() - begun)
    write_evidence(death, folder)
    write_whole(folder / EARLY_ARGV, f"{argv}\n")
    return death


def together(first: BootDeath, second: BootDeath | None, seconds: float) -> BootDeath:
    """Return what the *first* and the *second* boot show, which took *seconds* together.

    A second one that came up is None.
    """
    if second is None:
        return replace(first, seconds=seconds, again=False, second="it came up")
    evidence = replace(
        first,
        early_log=second.early_log,
        registers=second.registers or first.registers,
        seconds=seconds,
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
    """Write the early log and the registers of *death* into *folder*, which is made if need be."""
    write_whole(folder / EARLY_LOG, "".join(f"{line}\n" for line in death.early_log))
    write_whole(folder / REGISTERS, f"{death.what}\n\n{death.registers}\n")
