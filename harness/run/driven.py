# SPDX-License-Identifier: GPL-2.0-only
"""A guest that its caller drives by hand: what its kernel did meanwhile, judged as in a cell.

A caller asks for this and that, and may not look at the kernel's log at all. When it is done, or
something went wrong, the rest of that log is collected: a splat that is not tolerated, a death and
a hang are faults of the kernel; an emulator that broke is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.guest.guest import Guest
from harness.guest.transport.console import newer_than
from harness.guest.transport.protocol import lines_of
from harness.host.deadline import Deadline
from harness.model.errors import GuestError, HarnessError, UserError
from harness.model.jsonio import suggest
from harness.model.printk import STAMP
from harness.model.results import Ended, Phase, Splat, Stuck
from harness.model.values import SplatKind, Verdict
from harness.run.boots import NoBoot
from harness.run.diagnose import Diagnosis
from harness.run.symbolize import DebugSource, decode
from harness.verdict.log_facts import read_log
from harness.verdict.phases import read_phases, verdict_of_end
from harness.verdict.splat import is_death, unexpected

DEATH = "death"  # beside the kinds of splats: the guest's end, by whatever
TOLERABLE = (*(kind.value for kind in SplatKind), DEATH)
WHILE_BOOTED, WHILE_DRIVEN = "while it booted", "while it was driven"
WHILE_POWERED_OFF = "while it powered off"
LOOK_S = 10.0  # for a last look at a guest that hangs, at reference speed
_NOBODY = "-"  # no module is called so: a guest that hangs is looked at without a suspect


def parse_tolerated(words: Iterable[str], where: str) -> frozenset[str]:
    """Return the kinds of splats (or ``DEATH``) in *words*, each one or several with commas.

    Raises:
        UserError: there is no such kind; *where* says who named it.
    """
    kinds = [kind.strip() for word in words for kind in str(word).split(",")]
    for kind in kinds:
        if kind not in TOLERABLE:
            raise UserError(
                f"{where}: unknown kind '{kind}': {suggest(kind, TOLERABLE)}",
                hint=f"kinds are {', '.join(TOLERABLE)}",
            )
    return frozenset(kinds)


@dataclass(frozen=True)
class Seen:
    """What a kernel did while somebody drove its guest."""

    splats: tuple[Splat, ...] = ()  # those that are not tolerated, with their lines of source
    fault: str = ""  # of the kernel, in one line; "" where it did nothing wrong
    lost: str = ""  # why the emulator, or its link, broke; one line
    console: tuple[str, ...] = ()  # its lines


class Drive:
    """The watch over one guest; a context manager, to be left before the guest is."""

    def __init__(
        self, guest: Guest, debug: DebugSource, tolerated: Collection[str] = (), *modules: Path
    ) -> None:
        """Prepare to watch *guest*, which has just become ready.

        *tolerated* is as :func:`parse_tolerated` returns it; *modules* are ours that are in the
        guest's initramfs.
        """
        self.guest = guest
        self.tolerated = frozenset(tolerated)
        self._debug = debug
        self._modules = modules
        self._boot = Phase(WHILE_BOOTED, guest.console.lines)  # a clone has printed nothing
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.guest.phase_log.kept())
        self.guest.phase_log.begin(WHILE_DRIVEN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def conclude(self, *, power_off: bool = False) -> Seen:
        """Collect what the kernel still has to say, and return what it did.

        With *power_off*, a guest that can is told to power off, which its kernel may not survive.
        """
        guest = self.guest
        guest.phase_log.look()
        if not guest.phase_log.lost:
            with guest.phase_log.phase("at the end", after=True):
                guest.phase_log.drain()
        phases = (self._boot, *guest.phase_log.phases())
        if power_off and not guest.phase_log.lost:
            phases += (self._power_off(),)
        return self._judged(phases)

    def _power_off(self) -> Phase:
        guest = self.guest
        last = guest.agent.last_record
        known = lines_of(last.text) if last else ()
        guest.power_off()
        words = newer_than(guest.console.lines, last.usec if last else 0, known)
        panic = guest.machine.vitals.panic
        ended = Ended.DIED if panic else Ended.DONE
        return Phase(WHILE_POWERED_OFF, tuple(words), ended, panic)

    def _judged(self, phases: Sequence[Phase]) -> Seen:
        splats = [splat for facts in read_phases(phases) for splat in facts.splats]
        ends = [phase for phase in phases if phase.ended is not Ended.DONE]
        fault = lost = ""
        for end in ends[:1]:
            if end.ended is Ended.SILENT:
                fault = self._hang(end.reason)
            elif verdict_of_end(end.ended, splats) is Verdict.MISS:
                lost = end.reason
            elif DEATH not in self.tolerated and not self._asked_for():
                fault = _death(splats, end.reason)
        if not ends and self.guest.loading:
            fault = self._hang(f"module {self.guest.loading} does not come to its end")
        odd = _odd(splats, self.tolerated)
        decoded = decode(odd, self._debug, *self._modules, *self.guest.loaded)
        return Seen(decoded, fault or _complaint(odd), lost, self.guest.console.lines)

    def _asked_for(self) -> bool:
        """Return whether the guest is gone since its caller powered it off."""
        return self.guest.told_off and not self.guest.machine.vitals.panic

    def _hang(self, reason: str) -> str:
        """Say where a guest hangs; what was looked at is in its folder."""
        guest = self.guest
        symbols = guest.spec.kernel.with_name("System.map")
        scale = guest.speed.scale(1.0)
        diagnosis = Diagnosis(guest.machine, symbols, scale, Deadline(LOOK_S * scale))
        found = diagnosis.examine(guest.loading or _NOBODY, Stuck.HANG, reason)
        place = f" in {found.where}" if found.where else ""
        kind = f" ({found.kind.value})" if found.kind else ""
        return f"the kernel hangs{place}{kind}: {reason}"


def seen_of_boot(judged: NoBoot, debug: DebugSource) -> Seen:
    """Return what a kernel did that did not get as far as ready, and is to blame for it.

    Raises:
        GuestError: it is not, or nobody knows.
    """
    if judged.fault is None:
        raise GuestError(judged.why)
    splats = read_log(judged.console).splats
    return Seen(decode(_timeless(splats), debug), judged.fault.text, "", judged.console)


def seen_on_console(
    log: bytes, debug: DebugSource, tolerated: Collection[str], *modules: Path
) -> Seen:
    """Return what a kernel did by its console, on which a person has worked as well.

    Only what has printk's time stamp is the kernel's.
    """
    lines = log.decode("utf-8", "backslashreplace").splitlines()
    stamps = ((line, STAMP.search(line)) for line in lines)
    spoken = [line[stamp.start() :] for line, stamp in stamps if stamp]
    splats = _timeless(_odd(read_log(spoken).splats, tolerated))
    died = DEATH not in tolerated and any(map(is_death, splats))
    fault = _death(splats, "") if died else _complaint(splats)
    return Seen(decode(splats, debug, *modules), fault)


def _odd(splats: Sequence[Splat], tolerated: Collection[str]) -> list[Splat]:
    kinds = {kind for kind in SplatKind if kind.value in tolerated}
    odd = unexpected(splats, kinds)
    return [s for s in odd if not is_death(s)] if DEATH in tolerated else odd


def _timeless(splats: Iterable[Splat]) -> list[Splat]:
    """Return *splats* without when they were, in words of a guest test."""
    return [replace(splat, case="", when="") for splat in splats]


def _death(splats: Sequence[Splat], reason: str) -> str:
    title = next((splat.title for splat in splats if is_death(splat)), reason)
    return f"the kernel died: {title}"


def _complaint(splats: Sequence[Splat]) -> str:
    more = f" and {len(splats) - 1} more" if len(splats) > 1 else ""
    return f"the kernel complained: {splats[0].title}{more}" if splats else ""


def driven(drive: Drive, use: Callable[[], None]) -> Seen:
    """Call *use* under *drive*, tell the guest to power off, and return what its kernel did.

    Raises:
        HarnessError: *use* failed, and the kernel is not to blame.
    """
    try:
        use()
    except HarnessError:
        seen = drive.conclude()
        if not seen.fault:
            raise
        return seen
    seen = drive.conclude(power_off=True)
    if seen.lost:
        raise GuestError(seen.lost, hint="try again")
    return seen
