# SPDX-License-Identifier: GPL-2.0-only
"""The search for the smallest RAM with which something passes, and its record.

Sizes are the multiples of a step within bounds. It is taken that more RAM never hurts; what the
search saw that speaks against it is said and not hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Bounds:
    """The range of a search: RAM in MiB, and how often a size has to pass."""

    low: int
    high: int
    step: int
    repeats: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every size that may be tried, ascending; the ends of the range are among them."""
        inner = range(-(-self.low // self.step) * self.step, self.high, self.step)
        return tuple(sorted({self.low, *inner, self.high}))


@dataclass(frozen=True)
class Tries:
    """The tries of one size."""

    passed: int = 0
    failed: int = 0
    why: str = ""  # why the first one that failed did, one line

    @property
    def mixed(self) -> bool:
        return self.passed > 0 and self.failed > 0

    def add(self, passed: bool, why: str) -> Tries:
        """Return this with one more try."""
        if passed:
            return replace(self, passed=self.passed + 1)
        return replace(self, failed=self.failed + 1, why=self.why or why)


Known = Mapping[int, Tries]


@dataclass(frozen=True)
class Threshold:
    """The result of a search."""

    mib: int | None  # the smallest size that passes, None where the largest one does not
    why: str  # what the next smaller size said; of the largest one where mib is None
    mixed: tuple[int, ...] = ()  # sizes that passed at one time and failed at another
    uneven: tuple[int, ...] = ()  # sizes above the threshold that did not pass
    finished: bool = True

    @property
    def doubtful(self) -> bool:
        """Whether there is no clear threshold."""
        return bool(self.mixed or self.uneven)


def next_size(known: Known, bounds: Bounds) -> int | None:
    """Return the size to try next; None when nothing is left to be asked.

    The largest first, then the smallest, then halves; at the end one size between the threshold
    and the largest, and one more look at the size below, which one failure has ruled out.
    """
    sizes = bounds.sizes
    for size in (sizes[-1], sizes[0]):
        if _open(known, size, bounds):
            return size
        if _passes(known, size, bounds) is (size == sizes[0]):
            return None  # not even the largest, or already the smallest
    fails, passes, undecided = _halve(known, bounds)
    if undecided is not None:
        return undecided
    between = sizes[(passes + len(sizes) - 1) // 2]
    if _open(known, between, bounds):
        return between
    below = known[sizes[fails]]
    return sizes[fails] if below.passed + below.failed < bounds.repeats else None


def conclude(known: Known, bounds: Bounds) -> Threshold:
    """Return what *known* says, finished or not."""
    sizes = bounds.sizes
    mixed = tuple(size for size in sizes if size in known and known[size].mixed)
    finished = next_size(known, bounds) is None
    if _passes(known, sizes[-1], bounds) is not True:
        why = known[sizes[-1]].why if sizes[-1] in known else ""
        return Threshold(None, why, mixed, finished=finished)
    if _passes(known, sizes[0], bounds):
        return Threshold(sizes[0], "", mixed, finished=finished)
    fails, passes, _ = _halve(known, bounds)
    why = known.get(sizes[fails], Tries()).why
    uneven = tuple(s for s in sizes[passes + 1 :] if s in known and known[s].failed)
    return Threshold(sizes[passes], why, mixed, uneven, finished)


def _passes(known: Known, size: int, bounds: Bounds) -> bool | None:
    """Return whether *size* passes, None where it is not decided."""
    tries = known.get(size, Tries())
    if tries.failed:
        return False
    return True if tries.passed >= bounds.repeats else None


def _open(known: Known, size: int, bounds: Bounds) -> bool:
    return _passes(known, size, bounds) is None


def _halve(known: Known, bounds: Bounds) -> tuple[int, int, int | None]:
    """Go through the halves that are decided.

    Return the place of a size that fails, of one above it that passes, and the size that decides
    which half is next; None where the two are neighbours.
    """
    sizes = bounds.sizes
    fails, passes = 0, len(sizes) - 1
    while passes - fails > 1:
        middle = (fails + passes) // 2
        decided = _passes(known, sizes[middle], bounds)
        if decided is None:
            return fails, passes, sizes[middle]
        if decided:
            passes = middle
        else:
            fails = middle
    return fails, passes, None


# The name, in place of a test's, of a search for the RAM with which the kernel boots.
BOOT = "boot"


@dataclass(frozen=True)
class ThresholdRow:
    """The result for a test, or the boot, at one position of one architecture."""

    arch: str
    position: int
    test: str
    load: str
    found: Threshold

    @property
    def what(self) -> str:
        """The test as people name it, with its load."""
        return self.test if self.load == "none" else f"{self.test} + {self.load}"

    @property
    def text(self) -> str:
        """One line for a log."""
        return f"{self.arch} p{self.position} {self.what}: {say(self.found)}"


@dataclass(frozen=True)
class ThresholdRecord:
    """All searches of one call; ``ram-threshold.json`` in the run's folder."""

    series: str
    base: str
    tree_version: str
    patch_titles: tuple[str, ...]
    bounds: Bounds
    rows: tuple[ThresholdRow, ...]

    @property
    def finished(self) -> bool:
        return bool(self.rows) and all(row.found.finished for row in self.rows)


def say(found: Threshold) -> str:
    """Say in a few words what was found, and what speaks against it."""
    said = f"{found.mib}M" if found.mib is not None else f"none ({found.why or 'not tried'})"
    if found.mixed:
        said += f", mixed at {', '.join(f'{size}M' for size in found.mixed)}"
    if found.uneven:
        said += f", but not with {', '.join(f'{size}M' for size in found.uneven)}"
    return said if found.finished else f"{said}, not finished"
