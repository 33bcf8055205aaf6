# SPDX-License-Identifier: GPL-2.0-only
"""Records that the kernel's log lost before PID 1 had read them, and where they are found again.

The log is a ring, and a guest that is busy may overrun it. Its console misses next to nothing:
whoever prints a message waits until it is out. Both stamp a record with the same microsecond.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.model.printk import STAMP, stamp_us


@dataclass(frozen=True)
class Gap:
    """A gap in the kernel's log: between two records, in microseconds since the guest's boot."""

    after_us: int
    before_us: int
    count: int

    @property
    def mark(self) -> str:
        """The line in its place in a log. A guest cannot tell beforehand when a gap will end."""
        begin, end = (f"{us / 1e6:.6f}" for us in (self.after_us, self.before_us))
        return f"[harness: {self.count} records lost between {begin} and {end}]"


def stamped(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield each record on a console, *lines* in order: microseconds since boot, and its text.

    The lines of one record have the same stamp. What has none is not the kernel's, and left out.
    """
    since, text = -1, list[str]()
    for line in lines:
        found = STAMP.search(line)
        if found is None:
            continue
        at = stamp_us(found)
        if at != since and text:
            yield since, "\n".join(text)
            text = []
        since = at
        text.append(line[found.end() :])
    if text:
        yield since, "\n".join(text)


def filled(
    log: Iterable[str], gaps: Sequence[Gap], records: Iterable[tuple[int, str]]
) -> tuple[tuple[str, ...], int]:
    """Return *log* with what *records* (as :func:`stamped` has them) know of each of its *gaps*.

    It stands behind the gap's mark. The number is how many were found, those of gaps that are not
    in this log included, but of each gap no more than it has lost.
    """
    inside = sorted(gaps, key=lambda gap: gap.after_us)
    starts = [gap.after_us for gap in inside]
    found: list[list[str]] = [[] for _ in inside]
    for at, text in records:
        number = bisect_left(starts, at) - 1
        if number < 0 or at >= inside[number].before_us:
            continue
        if len(found[number]) < inside[number].count:
            found[number].append(text)
    of_mark = {gap.mark: texts for gap, texts in zip(inside, found, strict=True)}
    whole = tuple(line for text in log for line in (text, *of_mark.pop(text, ())))
    return whole, sum(map(len, found))
