# SPDX-License-Identifier: GPL-2.0-only
"""Texts about coverage that all its reports share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.coverage.record import (
    CoverageRecord,
    DiffFile,
    DiffLine,
    PatchCoverage,
    Seen,
)
from harness.model.errors import UserError
from harness.model.jsonio import from_json

JSON, HTML = "coverage.json", "coverage.html"


@dataclass(frozen=True)
class Bar:
    """How much of a patch is executed on one architecture; the shares in percent."""

    arch: str
    text: str
    executed: float
    missed: float


def read_coverage(folder: Path) -> CoverageRecord | None:
    """Return the record in *folder*, None where there is none.

    Raises:
        UserError: it is damaged, or of another version of the harness.
    """
    path = folder / JSON
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return from_json(CoverageRecord, text, where=str(path))


def headline(record: CoverageRecord) -> str:
    """Return one line: how many of the changed lines that have code were executed."""
    all_of = record.total(Seen.EXECUTED, Seen.MISSED)
    if not all_of:
        return "no changed line has a counter"
    where = f" on {' and '.join(record.archs)}" if len(record.archs) < 3 else " on all of them"
    if not record.missed:
        per = [sum(p.count(n, Seen.EXECUTED) for p in record.patches) for n in _numbers(record)]
        counts = " and ".join(map(str, dict.fromkeys(per)))
        return f"all {counts} changed lines with a counter are executed{where}"
    return f"{record.missed} of {all_of} changed lines with a counter are missed{where}"


def _numbers(record: CoverageRecord) -> range:
    return range(len(record.archs))


def of_all(patch: PatchCoverage, arch: int) -> str:
    """Return how many counted lines are executed on architecture number *arch*: "12 of 13"."""
    executed, missed = patch.count(arch, Seen.EXECUTED), patch.count(arch, Seen.MISSED)
    uncounted = patch.count(arch, Seen.UNCOUNTED)
    text = f"{executed} of {executed + missed}" if executed + missed else "no counter"
    return f"{text}, {uncounted} not counted" if uncounted else text


def missed_lines(patch: PatchCoverage) -> Iterator[tuple[DiffFile, DiffLine]]:
    """Yield the changed lines that no test executes on some architecture."""
    for file, line in patch.added():
        if any(seen.seen is Seen.MISSED for seen in line.archs):
            yield file, line


def bars(record: CoverageRecord, patch: PatchCoverage) -> tuple[Bar, ...]:
    """Return a bar of *patch* for each architecture; empty where no changed line has a counter."""

    def bar(number: int, arch: str) -> Bar:
        executed = patch.count(number, Seen.EXECUTED)
        missed = patch.count(number, Seen.MISSED)
        share = 100 / (executed + missed or 1)
        return Bar(arch, of_all(patch, number), executed * share, missed * share)

    return tuple(bar(number, arch) for number, arch in enumerate(record.archs))


@dataclass(frozen=True)
class CoverageView:
    """The coverage part of a run's own page."""

    headline: str
    href: str
    archs: tuple[str, ...]
    patches: tuple[tuple[PatchCoverage, tuple[Bar, ...]], ...]


def coverage_view(folder: Path) -> CoverageView | None:
    """Return the coverage part of the page of the run in *folder*, None without coverage."""
    record = read_coverage(folder)
    if record is None:
        return None
    patches = tuple((patch, bars(record, patch)) for patch in record.patches)
    return CoverageView(headline(record), HTML, record.archs, patches)
