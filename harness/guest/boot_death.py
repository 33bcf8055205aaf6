# SPDX-License-Identifier: GPL-2.0-only
"""The death of a kernel at boot, put in words: from its log, its processors and its size.

Words are the same each time that it dies like this, so neither addresses nor times are in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile

from harness.guest.processor import Site
from harness.model.results import Death, Frame
from harness.model.symbols import PANIC, SystemMap, plain_name
from harness.model.text import one_line
from harness.model.values import GuestSpec

MAX_LINES = 400  # of a log that are kept: the first and the last half
MAX_LINE = 400  # characters
MAX_STRINGS = 4000  # lines of a log that is read out of memory
_PANIC = re.compile(r"(?:^|\] ?)Kernel panic - not syncing: ?(.*)")
_ADDRESS = re.compile(r"\b(?:0x)?[0-9a-f]{12,16}\b")
# In a panic's words, or in the lines before it.
_RAM = re.compile(
    r"System is deadlocked on memory|[Oo]ut of memory|[Cc]an ?not allocate|[Ff]ailed to allocate"
    r"|[Nn]ot enough memory|can not alloc"
)
_INIT = re.compile(r"No working init found|Requested init .{1,200} failed|Attempted to kill init")
_ROOT = re.compile(r"VFS: Unable to mount root fs")
_INITRAMFS = re.compile(r"(?:Initramfs unpacking failed|rootfs image is not initramfs)[^\n]{0,200}")
_STRINGS = re.compile(rb"[\x20-\x7e\t\n]{4,1000}")
# How a kernel resets: a way that ends in a triple fault on purpose is none.
_RESTARTS = re.compile(r"restart|reboot|power_off|psci_sys")


def needs_mib(spec: GuestSpec, symbols: SystemMap | None) -> int:
    """Return the least RAM that holds *spec*'s kernel and initramfs, in MiB; 0: not known."""
    if symbols is None or not symbols.end:
        return 0
    try:
        size = spec.initramfs.stat().st_size
    except OSError:
        size = 0
    return -(-(symbols.end - spec.arch.ram_at + size) // 2**20)


def kind_of(seen: Death, lines: Sequence[str], stack: Sequence[Site]) -> Death:
    """Return what killed a kernel that looks *seen* from outside, by the *lines* of its log."""
    names = [site.symbol.name for site in stack]
    words = panic_words(lines)
    if not words and PANIC in names:
        return Death.PANIC  # of which no word got out
    if not words:
        wanted = seen is Death.TRIPLE_FAULT and any(map(_RESTARTS.search, names))
        return Death.RESET if wanted else seen
    text = "\n".join((*lines, words))
    if _INIT.search(words) or _ROOT.search(words):
        if _RAM.search(text):
            return Death.RAM
        return Death.INITRAMFS if _ROOT.search(words) or _INITRAMFS.search(text) else Death.INIT
    return Death.RAM if _RAM.search(words) else Death.PANIC


def panic_words(lines: Iterable[str]) -> str:
    """Return what the kernel said as it panicked, "" where it did not."""
    found = (_PANIC.search(line) for line in lines)
    return next((one_line(_ADDRESS.sub("(address)", f[1])) or "(no words)" for f in found if f), "")


def words_of(
    kind: Death, lines: Sequence[str], where: str, spec: GuestSpec, *, too_large: bool
) -> str:
    """Return the death in one line: of the *kind*, and *where* it happened, if that is known.

    *too_large*: RAM does not hold kernel and initramfs.
    """
    match kind:
        case Death.RAM if too_large:
            return f"needs more RAM: kernel and initramfs do not fit into {spec.ram_mib} MiB"
        case Death.RAM:
            return f"needs more RAM than {spec.ram_mib} MiB: {panic_words(lines)}"
        case Death.INITRAMFS:
            found = next(filter(None, map(_INITRAMFS.search, lines)), None)
            return (
                f"cannot use its initramfs: {one_line(found[0]) if found else panic_words(lines)}"
            )
        case Death.INIT:
            return f"has no working init: {panic_words(lines)}"
        case Death.PANIC:
            return f"panic: {panic_words(lines) or '(no words)'}" + (f", {where}" if where else "")
        case Death.IDLE if not where:
            stage = "after init was started" if _init_ran(lines) else "before init was started"
            return f"idle {stage}, waiting for what does not come"
        case Death.SILENT:
            return "not ready in time"
        case _:
            return f"{kind.value} {where}".strip()


def place_words(stack: Sequence[Site]) -> str:
    """Return where *stack* is: "in f, called from g"; "" for an empty one."""
    trapped = next((n for n, site in enumerate(stack) if site.trapped), None)
    rest = stack[trapped or 0 :]
    if not rest:
        return ""
    certain = takewhile(lambda site: not site.gap, rest[1:])
    names = [plain_name(site.symbol.name) for site in (rest[0], *certain)]
    caller = next((name for name in names[1:] if name != names[0]), "")
    how = "in" if trapped is None else "by an exception in"
    return f"{how} {names[0]}" + (f", called from {caller}" if caller else "")


def behind_panic(stack: Sequence[Site]) -> Sequence[Site]:
    """Return what of *stack* led to a panic, where it goes through one, else all of it."""
    names = [site.symbol.name for site in stack]
    return stack[names.index(PANIC) + 1 :] if PANIC in names else stack


def frames_of(stack: Iterable[Site]) -> tuple[Frame, ...]:
    """Return *stack* as frames of a splat, without places."""
    return tuple(Frame(str(site.symbol), "", 0, site.exact) for site in stack)


def kept_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """Return *lines* without immediate repeats, and not too many.

    A kernel with two consoles on one line says everything twice.
    """
    every = [line[:MAX_LINE] for line in lines]
    once = every[:1] + [after for before, after in pairwise(every) if after != before]
    if len(once) <= MAX_LINES:
        return tuple(once)
    half = MAX_LINES // 2
    left_out = f"[harness: {len(once) - 2 * half} lines left out]"
    return (*once[:half], left_out, *once[-half:])


def lines_in_memory(raw: bytes) -> tuple[str, ...]:
    """Return the lines of a kernel's log buffer *raw*: text is between what is none."""
    texts = (found[0].decode("ascii") for found in _STRINGS.finditer(raw))
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    return tuple(lines[:MAX_STRINGS])


def _init_ran(lines: Iterable[str]) -> bool:
    return any(line.endswith(" as init process") for line in lines)
