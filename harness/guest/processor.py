# SPDX-License-Identifier: GPL-2.0-only
"""A guest's processors as QEMU shows them: registers, and the stack behind them by name.

All of it works on a guest that answers nobody, in any state of its boot.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.guest.machine import Machine
from harness.host.deadline import Deadline, host_speed
from harness.model.errors import GuestError
from harness.model.symbols import Symbol, SystemMap, in_kernel, plain_name
from harness.model.values import Arch, GuestSpec

ANSWER_S = 5.0  # for one question to QEMU; it takes milliseconds
MAX_FRAMES = 32
SCANNED = 512  # words of a stack that are looked at
PAGE = 4096
WORD = 8
# Where a processor with nothing to run is.
_IDLE_LOOP = frozenset({"do_idle", "cpu_startup_entry"})
BANNER = b"Linux version "  # what the kernel's symbol linux_banner begins with
_CPU = re.compile(r"^\s*CPU#\d+\s*$", re.M)
_REGISTER = re.compile(r"\b([A-Z][A-Z0-9]{1,7}) ?=([0-9a-f]{8}(?:[0-9a-f]{8})?)\b")
Read = Callable[[int, int], bytes | None]  # address and size → bytes; None: not mapped


@dataclass(frozen=True)
class Processor:
    """One processor at one moment."""

    text: str  # all that QEMU says of it
    counter: int
    stack: int
    frame: int
    link: int  # 0 where the architecture has none
    masked: bool  # its interrupts are off
    privileged: bool  # it runs the kernel, or what has taken its place


@dataclass(frozen=True)
class Site:
    """A place in code on a stack: the function, and whether the processor stood there."""

    symbol: Symbol
    exact: bool  # else it is where a call returns to
    trapped: bool = False  # an exception or interrupt came in here
    gap: bool = False  # callers are missing between this and the one before


def processors_of(text: str, arch: Arch) -> tuple[Processor, ...]:
    """Return the processors in *text*, QEMU's ``info registers -a``; never raises."""
    parts = (_processor(part, arch) for part in _CPU.split(text))
    return tuple(part for part in parts if part is not None)


def _processor(text: str, arch: Arch) -> Processor | None:
    found: dict[str, int] = {}
    for name, value in _REGISTER.findall(text):
        found.setdefault(name, int(value, 16))

    def first(names: Sequence[str]) -> int | None:
        return next((found[name] for name in names if name in found), None)

    names = arch.registers
    counter, flags = first(names.counter), first(names.flags)
    if counter is None or flags is None:
        return None
    mask, value = names.masked
    return Processor(
        text=text.strip(),
        counter=counter,
        stack=first(names.stack) or 0,
        frame=first(names.frame) or 0,
        link=found.get(names.link, 0),
        masked=flags & mask == value,
        privileged=names.privileged in text,
    )


# ---------------------------------------------------------------- stacks


def stack_of(cpu: Processor, symbols: SystemMap, arch: Arch, read: Read) -> tuple[Site, ...]:
    """Return the stack of *cpu* by name, innermost first; only what is certain is in it.

    Frames are followed by frame pointers. A function without a frame of its own, and stacks
    without frame pointers, are known by return addresses behind a direct call of the function
    that runs. Never raises for what the guest has in memory.
    """
    here = symbols.find(cpu.counter)
    if here is None:
        return ()
    memory = _Memory(read)
    calls = _Calls(memory, symbols, arch)
    trap = _trap(cpu, symbols, arch, memory)
    frames = list(_frames(cpu.frame, symbols, arch, memory))
    sites = [Site(here, exact=True)]
    link = cpu.link or memory.word(cpu.stack) or 0
    if not frames and trap is None:
        sites += calls.between(link, here, here)
        sites += calls.scanned(cpu.stack, sites[-1].symbol)
    for at, site in frames:
        if trap is not None and at > trap.at:
            if not site.trapped:
                sites.append(Site(trap.symbol, exact=True, trapped=True))
                link = memory.word(trap.stack) or 0
            trap = None
        if sites[-1].exact and not site.exact:
            sites += calls.between(link, sites[-1].symbol, site.symbol)
            sites.append(replace(site, gap=calls.denies(site.symbol, sites[-1].symbol)))
        else:
            sites.append(site)
        link = 0
    if trap is not None:
        sites.append(Site(trap.symbol, exact=True, trapped=True))
    return tuple(sites[:MAX_FRAMES])


@dataclass(frozen=True)
class _Trap:
    """What a trap left on the stack."""

    at: int  # where on it
    symbol: Symbol  # of the instruction that was trapped
    stack: int  # its stack pointer


def outside_idle(stack: Sequence[Site]) -> Sequence[Site]:
    """Return *stack*, nothing where it is that of a kernel that has nothing to run."""
    return () if any(site.symbol.name in _IDLE_LOOP for site in stack) else stack


def common(stacks: Sequence[Sequence[Site]]) -> tuple[Site, ...]:
    """Return what *stacks* of a kernel that runs in one place have in common, innermost first.

    A loop is in the innermost function that they all are in; what it calls comes and goes. A
    function that has no frame yet hides its caller: it is known from the stacks where it has one.
    """
    outermost = [tuple(reversed(stack)) for stack in stacks if stack]
    begins = Counter(stack[0].symbol.name for stack in outermost).most_common(1)
    # A few are cut short, by an interrupt that has a stack of its own.
    if begins and begins[0][1] > len(outermost) / 2:
        outermost = [stack for stack in outermost if stack[0].symbol.name == begins[0][0]]
    shared: list[Site] = []
    depth = 0
    while outermost and all(len(stack) > depth for stack in outermost):
        names = Counter(stack[depth].symbol.name for stack in outermost)
        name = max(names, key=lambda one: (names[one], one))
        through = [stack for stack in outermost if stack[depth].symbol.name == name]
        called = {stack[depth + 1].symbol.name for stack in through if len(stack) > depth + 1}
        if not names.keys() - {name} <= called:
            break
        shared.append(through[0][depth])
        outermost, depth = through, depth + 1
    return tuple(reversed(shared))


class _Memory:
    """Words of the guest's memory, read a page at a time."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._pages: dict[int, bytes | None] = {}

    def word(self, address: int) -> int | None:
        found = self.bytes(address, WORD)
        return int.from_bytes(found, "little") if len(found) == WORD else None

    def bytes(self, address: int, size: int) -> bytes:
        """Return up to *size* bytes from *address*, fewer at the end of a page or of memory."""
        start = address - address % PAGE
        if not 0 <= start < 2**64:
            return b""
        if start not in self._pages:
            self._pages[start] = self._read(start, PAGE)
        return (self._pages[start] or b"")[address - start :][:size]


def _frames(
    frame: int, symbols: SystemMap, arch: Arch, memory: _Memory
) -> Iterator[tuple[int, Site]]:
    """Yield where on the stack it is, and what is returned to; stacks grow down."""
    names = arch.registers
    entered = False  # the frame before is the one of a trap's entry
    for _ in range(MAX_FRAMES):
        linked = names.trap_offsets if frame % 2 else None
        to_frame, to_counter = linked or (0, WORD)
        frame -= frame % 2
        before, back = memory.word(frame + to_frame), memory.word(frame + to_counter)
        if before is None or not back or frame % WORD:
            return
        symbol = symbols.find_caller(back)
        trapped = linked is not None or (
            entered and symbol is not None and not symbol.name.startswith(names.trap_entries)
        )
        symbol = symbols.find(back) if trapped else symbol
        if symbol is None:
            return
        yield frame, Site(symbol, exact=trapped, trapped=trapped)
        entered = symbol.name.startswith(names.trap_entries)
        if before <= frame:
            return
        frame = before


def _trap(cpu: Processor, symbols: SystemMap, arch: Arch, memory: _Memory) -> _Trap | None:
    """Return the innermost trap on the stack of *cpu*."""
    if not arch.registers.trap_segment:
        return None
    for at in range(cpu.stack, cpu.stack + SCANNED * WORD, WORD):
        if memory.word(at + WORD) != arch.registers.trap_segment:
            continue
        address, top = memory.word(at) or 0, memory.word(at + 3 * WORD) or 0
        symbol = symbols.find(address)
        # Above the frame lies the stack that was interrupted.
        if symbol is not None and abs(top - at) < 2**16:
            return _Trap(at, symbol, top)
    return None


@dataclass(frozen=True)
class _Calls:
    """Return addresses that are proven by the call before them."""

    memory: _Memory
    symbols: SystemMap
    arch: Arch

    def leads(self, address: int, to: Symbol) -> bool:
        """Say whether *address* follows a direct call of the function of *to*."""
        target = self._target(address)
        return target is not None and self._is_of(target, to)

    def denies(self, caller: Symbol, to: Symbol) -> bool:
        """Say whether *caller* did not call the function of *to*, but another one.

        Of an indirect call nobody knows.
        """
        target = self._target(caller.address)
        return target is not None and not self._is_of(target, to)

    def between(self, link: int, inner: Symbol, outer: Symbol) -> Iterator[Site]:
        """Yield the caller of *inner* that has no frame between it and *outer*, if there is one.

        It would return to *link*. At its first instruction, *inner* has not touched what its
        caller left; later a direct call has to prove it.
        """
        if link in (0, outer.address) or (inner.offset and not self.leads(link, inner)):
            return
        found = self.symbols.find_caller(link)
        if found is not None:
            yield Site(found, exact=False)

    def _target(self, address: int) -> int | None:
        if not address or self.symbols.find_caller(address) is None:
            return None
        before = self.memory.bytes(address - WORD, WORD)
        return self.arch.registers.call_target(address, before)

    def _is_of(self, target: int, to: Symbol) -> bool:
        """Say whether *target* is where the function of *to* begins: its name may be one of two."""
        found = self.symbols.find(target)
        return target == to.address - to.offset or (
            found is not None
            and found.offset == 0
            and plain_name(found.name) == plain_name(to.name)
        )

    def scanned(self, stack: int, inner: Symbol) -> Iterator[Site]:
        """Yield the callers of *inner* as far as each is proven, from *stack* upwards."""
        for at in range(stack, stack + SCANNED * WORD, WORD):
            word = self.memory.word(at)
            if word is None:
                return
            if in_kernel(word) and self.leads(word, inner):
                found = self.symbols.find_caller(word)
                assert found is not None
                yield Site(found, exact=False)
                inner = found


def _same_function(one: Symbol, other: Symbol) -> bool:
    """Say whether both are parts of one function: the compiler may move the rare ones away."""
    return plain_name(one.name) == plain_name(other.name)


# ---------------------------------------------------------------- asking QEMU


class Look:
    """Questions to the emulator of one guest about its processors and memory."""

    def __init__(self, machine: Machine, spec: GuestSpec) -> None:
        self._machine = machine
        self._arch = spec.arch
        self.map = system_map(spec)  # of the kernel file; what is in memory may lie elsewhere
        self._verified: bool | None = None

    @property
    def symbols(self) -> SystemMap | None:
        """The kernel's symbols, once its memory has shown that they are its own; else None.

        A kernel that moved itself is in other places than its System.map says.
        """
        if self.map is not None and self._verified is None:
            self._verified = self._is_its_own(self.map)
        return self.map if self._verified else None

    def processors(self) -> tuple[Processor, ...]:
        """Return all processors as they are now.

        Raises:
            GuestError: QEMU does not answer.
        """
        text = self._machine.monitor.human("info registers -a", deadline=_soon())
        return processors_of(text.replace("\r", ""), self._arch)

    def stack(self, processors: Iterable[Processor]) -> tuple[Site, ...]:
        """Return the stack of the first of *processors* that is at work, as :func:`stack_of`.

        Where none is, that of the first one; nothing where names are not known.
        """
        symbols = self.symbols
        if symbols is None:
            return ()
        stacks = [stack_of(one, symbols, self._arch, self.read) for one in processors]
        return next(filter(outside_idle, stacks), stacks[0] if stacks else ())

    def read(self, address: int, size: int) -> bytes | None:
        """Return the guest's memory at *address* as its first processor sees it."""
        return self._saved("memsave", address, size)

    def read_physical(self, address: int, size: int) -> bytes | None:
        """Return the guest's memory at the physical *address*."""
        return self._saved("pmemsave", address, size)

    def _saved(self, command: str, address: int, size: int) -> bytes | None:
        file = self._machine.folder / "memory"
        asked = {"val": _signed(address), "size": size, "filename": str(file)}
        try:
            self._machine.monitor.execute(command, asked, deadline=_soon())
            return file.read_bytes()
        except (GuestError, OSError):
            return None
        finally:
            with contextlib.suppress(OSError):
                file.unlink()

    def _is_its_own(self, symbols: SystemMap) -> bool | None:
        """Return whether *symbols* are the kernel's; None where its memory cannot be read yet."""
        banner = symbols.address("linux_banner")
        if banner is None:
            return False
        size = len(BANNER)
        found = self.read_physical(symbols.physical(banner), size)
        if found != BANNER:
            found = self.read(banner, size)
        return None if found is None else found == BANNER


def system_map(spec: GuestSpec) -> SystemMap | None:
    """Return the symbols of *spec*'s kernel, None where it has no System.map beside it."""
    try:
        text = spec.kernel.with_name("System.map").read_text("ascii", errors="replace")
    except OSError:
        return None
    return SystemMap(text, spec.arch.text_at)


def _soon() -> Deadline:
    return Deadline(host_speed().scale(ANSWER_S))


def _signed(address: int) -> int:
    return address - 2**64 if in_kernel(address) else address
