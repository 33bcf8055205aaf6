# SPDX-License-Identifier: GPL-2.0-only
"""What became of the mutants of a series: values, as they are kept in JSON."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Fate(enum.Enum):
    """The outcome of a mutant."""

    KILLED = "killed"  # a test told it from the right code
    SURVIVED = "survived"  # every test passed
    EQUIVALENT = "equivalent"  # it compiles to the same code, bit for bit
    UNBUILDABLE = "not buildable"
    UNDECIDED = "undecided"  # a test could not be run, for a reason of ours


@dataclass(frozen=True)
class MutantResult:
    """A mutant and its fate."""

    file: str
    line: int
    operator: str
    what: str
    diff: str
    fate: Fate
    by: str = ""  # the test and case that killed it, or why there was no telling
    seconds: float = 0.0  # from the start of its build to its fate
    reused: bool = False  # known from an earlier run


@dataclass(frozen=True)
class MutantsRecord:
    """All that is known of the mutants of a series on one architecture."""

    series: str
    base: str
    tree_version: str
    arch: str
    position: int
    tests: tuple[str, ...]
    total: int
    results: tuple[MutantResult, ...]

    def count(self, fate: Fate) -> int:
        """Return how many mutants met *fate*."""
        return sum(result.fate is fate for result in self.results)

    @property
    def finished(self) -> bool:
        return len(self.results) == self.total
