# SPDX-License-Identifier: GPL-2.0-only
"""The record of a coverage run: the changed lines of a series, and their executions."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.model.values import Verdict


class Seen(enum.Enum):
    """The executions of one line on one architecture."""

    EXECUTED = "executed"
    MISSED = "missed"  # there is code for it, and no test executed it
    NO_CODE = "no code"  # a comment, a declaration, the rest of a statement, what was compiled out
    UNCOUNTED = "not counted"  # its file was not compiled, or not to count its lines
    GONE = "gone"  # a later patch took it out again


@dataclass(frozen=True)
class LineSeen:
    """One line on one architecture."""

    seen: Seen
    count: int = 0  # executions, all tests together
    by: tuple[str, ...] = ()  # tests that executed it, in the order in which they ran


@dataclass(frozen=True)
class DiffLine:
    """A line of a patch."""

    mark: str  # "+", "-" or " "
    text: str
    line: int  # 1-based, in the file as it is at the record's position; 0: not there
    archs: tuple[LineSeen, ...] = ()  # as the record's architectures; none for a "-"


@dataclass(frozen=True)
class DiffHunk:
    """A hunk of a patch."""

    heading: str  # what stands behind the second @@
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True)
class DiffFile:
    """The changes of a patch to one file."""

    name: str  # below the kernel tree
    hunks: tuple[DiffHunk, ...]
    note: str = ""  # why nothing of it is counted

    @property
    def added(self) -> Iterator[DiffLine]:
        """The lines that the patch brings."""
        return (line for hunk in self.hunks for line in hunk.lines if line.mark == "+")


@dataclass(frozen=True)
class PatchCoverage:
    """A patch with what became of its lines."""

    number: int
    title: str
    files: tuple[DiffFile, ...]

    def added(self) -> Iterator[tuple[DiffFile, DiffLine]]:
        """Yield every line that the patch brings, with its file."""
        return ((file, line) for file in self.files for line in file.added)

    def count(self, arch: int, *seen: Seen) -> int:
        """Return how many lines that it brings are one of *seen* on the record's *arch*-th."""
        return sum(line.archs[arch].seen in seen for _, line in self.added())


@dataclass(frozen=True)
class TestSeen:
    """A test as it went on the kernel that counts."""

    __test__ = False  # not a pytest class

    arch: str
    name: str  # with its load
    verdict: Verdict
    as_expected: bool  # of the kernel without counters
    reason: str
    counted: bool  # its counters are in; a guest that dies takes them along
    seconds: float
    reused: bool = False


@dataclass(frozen=True)
class CoverageRecord:
    """Coverage of a series at one position; ``coverage.json``."""

    series: str
    series_title: str
    base: str
    tree_version: str
    position: int
    archs: tuple[str, ...]
    patches: tuple[PatchCoverage, ...]
    tests: tuple[TestSeen, ...]

    @property
    def missed(self) -> int:
        """Changed lines that have code and were executed by no test, over all architectures."""
        return self.total(Seen.MISSED)

    def total(self, *seen: Seen) -> int:
        """Return how many changed lines are one of *seen*, over all architectures."""
        numbers = range(len(self.archs))
        return sum(patch.count(arch, *seen) for patch in self.patches for arch in numbers)

    def odd(self) -> Iterable[TestSeen]:
        """Return the tests whose verdict is not the one of the kernel without counters."""
        return [test for test in self.tests if not (test.as_expected and test.counted)]
