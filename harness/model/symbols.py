# SPDX-License-Identifier: GPL-2.0-only
"""Functions of a kernel by address, from its System.map."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, replace

KERNEL = 1 << 63  # addresses from here on are the kernel's
PANIC = "panic"  # the function that every panic goes through
# What the compiler appends to the name of a function that it split or specialized.
_COMPILED = re.compile(r"\.(?:constprop|isra|part|cold|llvm)\b(?:\.\d+)*")
_LINE = re.compile(r"^([0-9a-f]{16}) ([A-Za-z]) (\S{1,200})$", re.M)
# Marks that a linker script sets at the ends of sections; no code is in them.
_MARK = re.compile(r"_(?:start|end|begin|text|[se]text|[se]inittext)$")
_LONGEST = 2**20  # no function is longer; modules lie beyond the last one


def plain_name(function: str) -> str:
    """Return the name of *function* in its source: without ".constprop.0" and its like."""
    return _COMPILED.sub("", function)


def in_kernel(address: int) -> bool:
    return address >= KERNEL


@dataclass(frozen=True)
class Symbol:
    """An address in a function of the kernel."""

    name: str  # as the linker knows it
    offset: int
    size: int  # of the function, up to the next one
    address: int

    def __str__(self) -> str:
        return f"{self.name}+{self.offset:#x}/{self.size:#x}"


class SystemMap:
    """The symbols of one kernel."""

    def __init__(self, text: str, text_at: int | None = None) -> None:
        """Read *text*, a System.map; *text_at* is the physical address of its symbol _text.

        With that, the addresses of code that runs before the kernel is mapped are known too.
        """
        self._addresses: dict[str, int] = {}
        named: dict[int, str] = {}
        for found in _LINE.finditer(text):
            address, kind, name = int(found[1], 16), found[2], found[3]
            self._addresses.setdefault(name, address)
            if kind in "tTwW":
                named[address] = min(named.get(address, name), name, key=_rank)
        self._starts = sorted(named)
        self._names = [named[start] for start in self._starts]
        first = self._addresses.get("_text")
        self._shift = 0 if text_at is None or first is None else first - text_at
        self.end = self._addresses.get("_end", 0) - self._shift if self._shift else 0

    def address(self, name: str) -> int | None:
        """Return the address of the symbol *name*, None where there is none."""
        return self._addresses.get(name)

    def physical(self, address: int) -> int:
        """Return where the kernel's *address* lies in the guest's memory."""
        return address - self._shift

    def after(self, address: int) -> int:
        """Return the next higher address that has a symbol of any kind, *address* without one."""
        return min((at for at in self._addresses.values() if at > address), default=address)

    def find(self, address: int) -> Symbol | None:
        """Return the function around *address*, None where the kernel has none there."""
        virtual = address if in_kernel(address) else address + self._shift
        at = bisect.bisect_right(self._starts, virtual) - 1
        if at < 0 or not in_kernel(virtual):
            return None
        start, name = self._starts[at], self._names[at]
        last = at + 1 == len(self._starts)
        size = (self.after(start) if last else self._starts[at + 1]) - start
        size = size or _LONGEST  # the last symbol of all
        if _MARK.search(name) or size > _LONGEST or virtual - start >= size:
            return None
        return Symbol(name, virtual - start, size, address)

    def name(self, address: int) -> str:
        """Return "function+0x12", or the bare address where the kernel has no function there."""
        found = self.find(address)
        return f"{plain_name(found.name)}+{found.offset:#x}" if found else f"{address:#x}"

    def find_caller(self, back: int) -> Symbol | None:
        """Return the function that made the call which returns to *back*.

        A call that does not return may be the last thing in a function.
        """
        found = self.find(back - 1)
        return found and replace(found, offset=found.offset + 1, address=back)


def _rank(name: str) -> tuple[bool, int, str]:
    """Order the names of one address: marks last, plain names first."""
    return bool(_MARK.search(name)), len(name) - len(name.lstrip("_")), name
