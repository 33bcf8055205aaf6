# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a benchmark: contenders that are timed, and rows that compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from bench.testbed import Testbed

# What one run of a contender gave, by figure: {"ready": 0.06, "whole": 0.09}. Times in seconds.
Sample = Mapping[str, float]
Once = Callable[[], Sample]

Unit = Literal["ratio", "s", "%", "MiB", "KiB", "count"]


@dataclass(frozen=True)
class Contender:
    """Something that can be run again and again."""

    name: str  # the same name is the same contender: rows share its runs
    what: str  # what exactly is run, for the table: a command line, or a sentence
    open: Callable[[Testbed], AbstractContextManager[Once]]  # makes all that is not timed


@dataclass(frozen=True)
class Figure:
    """One number of a contender's samples."""

    contender: Contender
    name: str


@dataclass(frozen=True)
class Row:
    """One line of the table: ours as a ratio to theirs, or ours alone, against a bar."""

    name: str  # of the file it is in, and of what it is measured for: "clone-cold/arm64"
    title: str
    ours: Figure
    bar: float | None  # the most it may be; None: told, not judged
    theirs: Figure | None = None
    unit: Unit = "ratio"
    # Rows of a group are measured together, taking turns.
    group: str = "guests"
    runs: int = 9  # of each contender, unless the caller says otherwise
    warm_ups: int = 1  # runs before them that do not count
    reading: str = ""  # which reading of the row was taken, where two are possible


@dataclass(frozen=True)
class Measured:
    """A row's raw numbers."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    failure: str = ""  # why there are none
    notes: tuple[str, ...] = field(default=())
