# SPDX-License-Identifier: GPL-2.0-only
"""Boots of the kernels of a run: which came up, and whose fault it is where one did not."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.guest.guest import BootFailure, Guest
from harness.guest.qemu.accel import probe_now
from harness.guest.template import Templates
from harness.model.results import BootDeath, KernelFault
from harness.model.values import GuestSpec, Series, SourceTree
from harness.run.symbolize import DebugSource, decode_frames
from harness.source.line_origin import patch_of_line
from harness.verdict.boot import Control, boot_fault, boot_missed

TAIL = 40  # lines of a console that a fault shows
# Makes another kernel of the run come up with the same RAM and initramfs; returns which one did,
# and why none did.
Witness = Callable[[GuestSpec], tuple[str, str]]


@dataclass(frozen=True)
class NoBoot:
    """A kernel that did not come up, judged."""

    console: tuple[str, ...]
    fault: KernelFault | None  # the kernel's own
    why: str = ""  # else why it has no verdict, one line


class Boots:
    """What a run knows of its kernels' boots; shared by its workers."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._lock = threading.Lock()
        self._up: dict[GuestSpec, str] = {}  # by setting: which kernel came up in it
        self._dead: dict[GuestSpec, tuple[GuestSpec, NoBoot]] = {}  # by bare spec

    def guest(self, spec: GuestSpec, folder: Path) -> AbstractContextManager[Guest]:
        """Give a guest, as :meth:`Templates.guest`.

        A kernel that is known not to come up is not booted once more for another set of disks.
        """
        with self._lock:
            dead = self._dead.get(_bare(spec))
        return self._templates.guest(dead[0] if dead else spec, folder)

    def came_up(self, spec: GuestSpec, which: str) -> None:
        """Remember that kernel *which* ("position 0") came up as *spec*."""
        with self._lock:
            self._up.setdefault(_setting(spec), which)

    def judge(
        self, spec: GuestSpec, failure: BootFailure, witness: Witness, debug: Debug | None
    ) -> NoBoot:
        """Return whose fault *failure* is; asked once for each kernel in a setting.

        With *debug*, the place in the source is named where it can be.

        Raises:
            GuestError, InfraError: the control could not be run for a reason of ours.
        """
        key = _bare(spec)
        with self._lock:
            known = self._dead.get(key)
        if known is None:
            judged = self._judge(spec, failure, witness, debug)
            with self._lock:
                known = self._dead.setdefault(key, (spec, judged))
        return known[1]

    def _judge(
        self, spec: GuestSpec, failure: BootFailure, witness: Witness, debug: Debug | None
    ) -> NoBoot:
        death = failure.death
        control = self._control(spec, death, witness)
        fault = boot_fault(death, control)
        if fault is None:
            return NoBoot(failure.console, None, boot_missed(death, control))
        place, patch, exact = debug.blamed(death) if debug else ("", 0, True)
        tail = "\n".join((death.early_log or death.console)[-TAIL:])
        stack, _, _ = death.registers.partition("\n\n")  # the registers have a file of their own
        detail = "\n\n".join(filter(None, (tail, stack)))
        fault = replace(fault, place=place, patch=patch, exact=exact, detail=detail)
        return NoBoot(failure.console, fault)

    def _control(self, spec: GuestSpec, death: BootDeath, witness: Witness) -> Control:
        with self._lock:
            up = self._up.get(_setting(spec), "")
        if up:
            return Control(kernel=up)
        # Words of the user's may be at fault as much as the kernel.
        own_words = bool(spec.cmdline or spec.qemu_args)
        if death.attributable and not own_words:
            return Control(probe=probe_now(spec.arch, spec.accel).reason)
        kernel, why = witness(spec)
        return Control(kernel=kernel, no_kernel=why, only_kernel=True)


@dataclass(frozen=True)
class Debug:
    """What it takes to find the source of a frame, and the patch that it comes from."""

    source: DebugSource
    tree: SourceTree
    series: Series
    position: int

    def blamed(self, death: BootDeath) -> tuple[str, int, bool]:
        """Return the "file:line" that *death* leads to, the patch, and whether the line is its own.

        That of the innermost frame in a line of a patch, else in a file that one changes, else of
        a function that the death names, else of any; ("", 0, True) where none has a place.
        """
        frames = decode_frames(death.frames, self.source)
        places = [(frame, place) for frame in frames for place in frame.places]
        for _, place in places:
            words = (self.tree, self.series, self.position, place.file, place.line)
            if number := patch_of_line(*words):
                return f"{place.file}:{place.line}", number, True
        applied = self.series.applied(self.position)
        for _, place in places:
            touching = [patch.number for patch in applied if place.file in patch.touches]
            if touching and touching[-1]:
                return f"{place.file}:{place.line}", touching[-1], False
        named = set(re.findall(r"\w+", death.what))
        ranked = sorted(places, key=lambda each: each[0].symbol.partition("+")[0] not in named)
        return (f"{ranked[0][1].file}:{ranked[0][1].line}", 0, True) if ranked else ("", 0, True)


def _bare(spec: GuestSpec) -> GuestSpec:
    """Return *spec* without disks: they have no part in whether its kernel comes up."""
    return replace(spec, disks_mib=())


def _setting(spec: GuestSpec) -> GuestSpec:
    """Return *spec* without its kernel: all that other kernels may have in common with it."""
    return replace(_bare(spec), kernel=Path(), content="")
