# SPDX-License-Identifier: GPL-2.0-only
"""Events of progress while a run is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.model.results import CellResult


@dataclass(frozen=True)
class Stage:
    """Something long began, moved on or ended. ``total`` 0: length unknown."""

    key: str  # the same for all events of one piece of work: "build arm64 p2"
    text: str  # what it is doing, one line
    done: int = 0
    total: int = 0
    finished: bool = False


@dataclass(frozen=True)
class Note:
    """A line for people that belongs to no stage."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class CellDone:
    """A verdict is in."""

    result: CellResult
    done: int
    total: int


Event = Stage | Note | CellDone
Report = Callable[[Event], None]  # receives progress
