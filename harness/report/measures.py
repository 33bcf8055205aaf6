# SPDX-License-Identifier: GPL-2.0-only
"""Figures that cases print as ``# <case>: measure: NAME VALUE UNIT``; no verdict depends on them.

Malformed ones are skipped, and of many the first are kept: a guest may print anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.model.results import CaseResult
from harness.model.text import one_line

MAX_MEASURES = 200  # of a cell
_MEASURE = re.compile(
    r"#? ?\S{1,200}: measure: (?P<name>[!-~]{1,80}) (?P<value>[0-9]{1,20})"
    r"(?: (?P<unit>[ -~]{1,40}))?"
)


@dataclass(frozen=True)
class Measure:
    """One figure of a case."""

    case: str
    name: str  # printable ASCII, no space
    value: int
    unit: str  # "us", "of 12 requests"; "" where none was named


def measures_of(cases: Iterable[CaseResult]) -> tuple[Measure, ...]:
    """Return the figures of *cases* as they were printed, at most :data:`MAX_MEASURES`."""
    return tuple(measure for measure, _ in zip(_read(cases), range(MAX_MEASURES), strict=False))


def _read(cases: Iterable[CaseResult]) -> Iterator[Measure]:
    for case in cases:
        for text in case.diagnostics:
            if match := _MEASURE.fullmatch(text[:400].strip()):
                unit = (match["unit"] or "").strip()
                yield Measure(one_line(case.name), match["name"], int(match["value"]), unit)


@dataclass(frozen=True)
class Compared:
    """A figure at each of several positions: "8 of 23 requests"; "" where it was not printed."""

    case: str
    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the figure differs between positions."""
        return len(set(self.values)) > 1


def side_by_side(columns: Iterable[Iterable[CaseResult]]) -> tuple[Compared, ...]:
    """Line up the figures of *columns*, the cases of one cell each; all values of one name."""
    read: list[dict[tuple[str, str], list[str]]] = []
    for cases in columns:
        read.append({})
        for m in measures_of(cases):
            read[-1].setdefault((m.case, m.name), []).append(f"{m.value} {m.unit}".rstrip())
    names = dict.fromkeys(name for column in read for name in column)
    return tuple(
        Compared(*name, tuple(", ".join(column.get(name, ())) for column in read)) for name in names
    )
