# SPDX-License-Identifier: GPL-2.0-only
"""Places in code that a splat names as ``function+offset/size [module]``.

A stack holds return addresses, which may belong to the next line of source already; the address
of an instruction pointer (RIP, pc, a trap) is exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.model.results import Frame, Place, Splat

MAX_SPOTS = 64  # looked at in one splat
_FAR = 1 << 24  # no function of a kernel is longer
_SPOT = r"(?P<function>[\w.$]{1,200})\+0x(?P<offset>[0-9a-f]{1,8})/0x(?P<size>[0-9a-f]{1,8})"
_MODULE = (
    r"(?: \[(?P<module>[\w-]{1,60})(?: [0-9a-f]{1,64})?\])?(?: \([A-Z]+\))?"
    # From 6.19 on a warning goes on with who was warned; a BUG may have no file.
    r"(?=\s*$|, CPU#\d| \[verbose )"
)
# Of RIP, pc and a warning's own line the address is exact; "?" frames are left-overs on a stack.
_EXACT = re.compile(
    r"(?:RIP: 0010:(?:\[<[0-9a-f]+>\] )?|pc : |PC is at |[Kk]ernel BUG at "
    r"|WARNING: (?:.{0,400} )?at (?:\S+:\d+ )?)"
    rf"{_SPOT}{_MODULE}"
)
_FRAME = re.compile(
    rf"(?:\[ *[TC]\d+\])?\s+(?:\[<[^<>]{{1,24}}>\] )?{_SPOT}{_MODULE}"
    rf"|BUG: K\w+: .* in (?P<function2>[\w.$]{{1,200}})\+0x(?P<offset2>[0-9a-f]{{1,8}})"
    rf"/0x(?P<size2>[0-9a-f]{{1,8}})(?: \[(?P<module2>[\w-]{{1,60}})\])?\s*$"
)
# The frame behind one of these was interrupted, not called from: arm64.
_TRAP = re.compile(r"el1h?_(?:64_)?(?:irq|sync|error|dbg|abort|da|ia|pc|undef)\w*$")
_REAL_STACK = re.compile(r"stack backtrace:")  # lockdep's: earlier stacks tell how it came to it
_HEADER = re.compile(r"(?:arch/[^/]+/)?include/")
# Functions that print a stack, or end the kernel: whoever called them is meant.
_REPORTS = re.compile(r"(?:dump_stack(?:_lvl)?|__dump_stack|dump_backtrace|show_stack|v?panic)\+")
# KUnit calls a case from here. A case that calls nothing has no frame of its own, and the caller is
# missing from its stack.
_CALLS_CASE = re.compile(r"kunit_(?:try_run_case|run_case_internal|generic_run_threadfn_adapter)\b")


@dataclass(frozen=True)
class Spot:
    """A place in code, as a splat names it."""

    line: int  # 1-based line of the splat's text
    function: str
    offset: int
    size: int
    module: str  # "" for the kernel itself
    exact: bool

    @property
    def address(self) -> int:
        """Offset of a byte that belongs to the instruction meant."""
        return self.offset if self.exact else max(0, self.offset - 1)


def spots_of(text: str) -> tuple[Spot, ...]:
    """Return the places that *text*, a splat's, names, in order; never raises."""
    spots: list[Spot] = []
    exact_before: set[tuple[str, int]] = set()
    trapped = False
    for number, line in enumerate(text.split("\n"), start=1):
        if "+0x" not in line:
            continue
        found = _EXACT.match(line)
        exact = found is not None
        found = found or _FRAME.match(line)
        if found is None:
            continue
        words = found.groupdict()
        key = "" if words.get("function") else "2"
        function, module = words[f"function{key}"], words[f"module{key}"] or ""
        offset, size = int(words[f"offset{key}"], 16), int(words[f"size{key}"], 16)
        if offset > size or size > _FAR:
            continue
        if exact:
            exact_before.add((function, offset))
        exact = exact or trapped or (function, offset) in exact_before
        trapped = bool(_TRAP.match(function))
        spots.append(Spot(number, function, offset, size, module, exact))
        if len(spots) == MAX_SPOTS:
            break
    return tuple(spots)


def blamed(splat: Splat) -> Frame | None:
    """Return the frame of *splat* to look at first, None where its place in source is not known.

    That of the instruction pointer where the splat begins with one; the line of another frame
    would be taken for that of the function that the title names. Else, of those with a place:
    an exact one, the innermost one of a module, the innermost one.
    """
    lines = splat.text.split("\n")
    real = next((n for n, line in enumerate(lines, 1) if _REAL_STACK.match(line)), 0)
    frames = [frame for frame in splat.frames if not _REPORTS.match(frame.symbol)]
    frames = [frame for frame in frames if frame.line > real] or frames
    if frames and frames[0].exact:
        return frames[0] if frames[0].places else None
    known = [frame for frame in frames if frame.places]
    for wanted in (
        [frame for frame in known if frame.exact],
        [frame for frame in known if frame.module],
        known,
    ):
        if wanted:
            return wanted[0]
    return None


def source_of(frame: Frame) -> Place | None:
    """Return the innermost place of *frame* that is in no header, else the innermost one."""
    own = [place for place in frame.places if not _HEADER.match(place.file)]
    return next(iter(own or frame.places), None)


def case_function(splats: Sequence[Splat]) -> str:
    """Return the function that KUnit called as a case, by the stacks in *splats*; "" for none.

    KUnit of 5.10 does not print which case begins, so a case in which the kernel died has no name
    in the log.
    """
    for splat in splats:
        spots = spots_of(splat.text)
        for called, caller in pairwise(spots):
            if called.module and _CALLS_CASE.match(caller.function):
                return called.function.partition(".")[0]
    return ""
