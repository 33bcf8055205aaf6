# SPDX-License-Identifier: GPL-2.0-only
"""Phases and initcalls of a cold boot, by its kernel log.

The log must come from a guest booted with ``PROFILE_CMDLINE``; its debug lines stay in the
kernel's buffer and off the console, so that measuring costs little. The time before the kernel's
clock starts is the rest of what the host measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.model.printk import STAMP, stamp_us

# 5.10 and later write "calling" and "initcall ... returned" lines for each initcall at the debug
# level. The buffer of 128 KiB that tinyconfig gives holds twice what they need.
PROFILE_CMDLINE = ("initcall_debug",)
READY_MARK = "init: ready"  # what PID 1 writes into the log when it is
NOT_COMPRESSED = "none: QEMU loads the image as it runs"
COMPRESSED = "within the first phase: the image unpacks itself before its clock runs"
_CALLING = re.compile(r"calling +\S+ @ \d+")
_RETURNED = re.compile(r"initcall (\S+?)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \[[^\]]*\])? returned")
_AFTER = re.compile(r" after (\d{1,12}) usecs")
_INIT = "Run /init as init process"
# Printed after the initcalls of consoles, which are called early, and before all others.
_CONSOLES_DONE = "pid_max: default: "
_ELF = b"\x7fELF"
_ARM64_IMAGE = (56, b"ARM\x64")  # offset and magic of the flat Image


@dataclass(frozen=True)
class BootPhase:
    """A part of the boot, in seconds; ``note`` explains it."""

    name: str
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Initcall:
    """An initcall and its duration in seconds."""

    name: str
    seconds: float


@dataclass(frozen=True)
class BootProfile:
    """A cold boot, from the launch of QEMU to ready."""

    arch: str
    release: str  # of the kernel
    ready_s: float  # of host time, from launch to ready
    phases: tuple[BootPhase, ...]  # in order; together ready_s
    initcalls: tuple[Initcall, ...]  # the slowest first
    clone_s: float | None = None  # from a clone's launch to its ready, where there was one


def compressed(head: bytes) -> bool:
    """Return whether a kernel image that begins with *head* (64 bytes) unpacks itself."""
    at, magic = _ARM64_IMAGE
    return not (head.startswith(_ELF) or head[at : at + len(magic)] == magic)


def profile_boot(
    log: Iterable[str], *, arch: str, release: str, ready_s: float, unpacks: bool
) -> BootProfile:
    """Return the profile of the boot that wrote *log*, lines with time stamps as dmesg has them.

    *ready_s* is what the host measured from launch to ready; *unpacks* as from
    :func:`compressed`.

    Raises:
        ValueError: the log lacks a line that every such boot writes; says which.
    """
    lines = [
        (stamp_us(found) / 1e6, line[found.end() :]) for line in log if (found := STAMP.match(line))
    ]
    early = _stamp(lines, _CONSOLES_DONE, lambda text: text.startswith(_CONSOLES_DONE))
    first = _stamp(
        [line for line in lines if line[0] >= early],
        "calling",
        lambda text: _CALLING.match(text) is not None,
    )
    begun = _stamp(lines, _INIT, lambda text: text.startswith(_INIT))
    ready = _stamp(lines, READY_MARK, lambda text: text == READY_MARK)
    # Modules of loads and tests log initcalls too, but after init has begun.
    done = [(at, text) for at, text in lines if at <= begun and _RETURNED.match(text)]
    last = max([first, *(at for at, _ in done)])
    phases = (
        BootPhase(
            "QEMU, firmware",
            max(0.0, ready_s - ready),
            "from the launch until the kernel's clock runs",
        ),
        BootPhase("decompression", 0.0, COMPRESSED if unpacks else NOT_COMPRESSED),
        BootPhase("kernel start", first, "memory, interrupts, timers: up to the first initcall"),
        BootPhase(
            "initcalls", last - first, f"{len(done)} of them; file systems, network, devices"
        ),
        BootPhase("kernel end", begun - last, "console opened, init memory freed, init started"),
        BootPhase("init", ready - begun, "PID 1 up to its ready"),
    )
    return BootProfile(arch, release, ready_s, phases, _slowest(done))


def _stamp(lines: Sequence[tuple[float, str]], what: str, match: Callable[[str], bool]) -> float:
    for at, text in lines:
        if match(text):
            return at
    raise ValueError(f"the kernel's log has no line '{what}'")


def _slowest(returned: Iterable[tuple[float, str]]) -> tuple[Initcall, ...]:
    calls = []
    for _, text in returned:
        name, took = _RETURNED.match(text), _AFTER.search(text)
        if name and took:
            calls.append(Initcall(name[1], int(took[1]) / 1e6))
    return tuple(sorted(calls, key=lambda call: (-call.seconds, call.name)))
