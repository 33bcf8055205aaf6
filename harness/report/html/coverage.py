# SPDX-License-Identifier: GPL-2.0-only
"""``coverage.html``: the diff of each patch, with the number of executions beside each line.

The page is self-contained, as ``report.html`` is, and has no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from harness.analysis.coverage.record import (
    CoverageRecord,
    DiffFile,
    DiffLine,
    LineSeen,
    PatchCoverage,
    Seen,
    TestSeen,
)
from harness.report.analysis.coverage_text import Bar, bars, headline
from harness.report.html.render import icon, part, policy, template

_LOOKS = {
    Seen.EXECUTED: "hit",
    Seen.MISSED: "miss",
    Seen.NO_CODE: "bare",
    Seen.UNCOUNTED: "blind",
    Seen.GONE: "gone",
}
_SIGNS = {Seen.MISSED: "missed", Seen.UNCOUNTED: "?", Seen.GONE: "gone", Seen.NO_CODE: ""}
_WORDS = {
    Seen.MISSED: "has code, and no test executed it",
    Seen.UNCOUNTED: "not counted: its file has no counters on this architecture",
    Seen.GONE: "removed again by a later patch",
    Seen.NO_CODE: "no counter of its own: no code, or inlined or merged by the compiler",
}


@dataclass(frozen=True)
class Gutter:
    """The count beside a line for one architecture."""

    sign: str
    look: str
    title: str


@dataclass(frozen=True)
class Row:
    """A line of a diff."""

    line: DiffLine
    look: str  # add, del, same
    gutters: tuple[Gutter, ...]
    letters: str  # of the tests that executed it
    title: str  # their names
    anchor: str  # of a missed line; else ""


@dataclass(frozen=True)
class HunkView:
    """A hunk with its rows."""

    heading: str
    first: int  # its line in the source, 0 if nothing of it is left
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class FileView:
    """What a patch changes in a file."""

    file: DiffFile
    hunks: tuple[HunkView, ...]


@dataclass(frozen=True)
class PatchView:
    """A patch and its diff."""

    patch: PatchCoverage
    files: tuple[FileView, ...]


@dataclass(frozen=True)
class MissedView:
    """A line that was missed, for the list at the top."""

    anchor: str
    where: str
    archs: str
    text: str


@dataclass(frozen=True)
class TestView:
    """A test's letter, name, and how it went on each architecture."""

    __test__ = False  # not a pytest class

    letter: str
    name: str
    seen: tuple[TestSeen | None, ...]


@dataclass(frozen=True)
class CoveragePage:
    """Everything on the page."""

    headline: str
    bars: tuple[tuple[PatchCoverage, tuple[Bar, ...]], ...]
    patches: tuple[PatchView, ...]
    missed: tuple[MissedView, ...]
    tests: tuple[TestView, ...]
    odd: tuple[TestSeen, ...]


def render(record: CoverageRecord, *, report: bool = False) -> str:
    """Return the page as HTML; with a link to the run's *report* where it lies beside."""
    css = f"{part('style.css')}\n{part('coverage.css')}"
    good = not record.missed and bool(record.total(Seen.EXECUTED))
    text: str = template("coverage.html").render(
        record=record,
        page=make_page(record),
        good=good,
        report=report,
        css=Markup(css),  # ours, not a guest's
        policy=policy(css),
        icon=icon(good=good),
    )
    return text


def make_page(record: CoverageRecord) -> CoveragePage:
    """Return the page of *record*."""
    letters = _letters(record)
    return CoveragePage(
        headline=headline(record),
        bars=tuple((patch, bars(record, patch)) for patch in record.patches),
        patches=tuple(_patch(record, patch, letters) for patch in record.patches),
        missed=tuple(_missed(record)),
        tests=tuple(
            TestView(
                letter,
                name,
                tuple(
                    next((t for t in record.tests if (t.arch, t.name) == (arch, name)), None)
                    for arch in record.archs
                ),
            )
            for name, letter in letters.items()
        ),
        odd=tuple(record.odd()),
    )


def _letters(record: CoverageRecord) -> dict[str, str]:
    """Name each test by a letter or two: a ... z, aa, ab ..."""

    def letter(number: int) -> str:
        rest, last = divmod(number, 26)
        return (letter(rest - 1) if rest else "") + chr(ord("a") + last)

    names = dict.fromkeys(test.name for test in record.tests)
    return {name: letter(number) for number, name in enumerate(names)}


def _patch(record: CoverageRecord, patch: PatchCoverage, letters: dict[str, str]) -> PatchView:
    files = []
    for place, file in enumerate(patch.files):
        hunks = []
        for number, hunk in enumerate(file.hunks):
            rows = tuple(
                _row(record, line, letters, f"p{patch.number}-f{place}-h{number}-{index}")
                for index, line in enumerate(hunk.lines)
            )
            first = next((line.line for line in hunk.lines if line.line), 0)
            hunks.append(HunkView(hunk.heading, first, rows))
        files.append(FileView(file, tuple(hunks)))
    return PatchView(patch, tuple(files))


def _row(record: CoverageRecord, line: DiffLine, letters: dict[str, str], anchor: str) -> Row:
    by = list(dict.fromkeys(test for seen in line.archs for test in seen.by))
    missed = line.mark == "+" and any(seen.seen is Seen.MISSED for seen in line.archs)
    return Row(
        line=line,
        look={"+": "add", "-": "del"}.get(line.mark, "same") + (" missed" if missed else ""),
        gutters=tuple(_gutter(a, s) for a, s in zip(record.archs, line.archs, strict=False)),
        letters=" ".join(letters[test] for test in by if test in letters),
        title=", ".join(by),
        anchor=anchor if missed else "",
    )


def _gutter(arch: str, seen: LineSeen) -> Gutter:
    if seen.seen is Seen.EXECUTED:
        times = f"{seen.count} time{'s' if seen.count != 1 else ''}"
        return Gutter(_short(seen.count), "hit", f"{arch}: {times}, by {', '.join(seen.by)}")
    return Gutter(_SIGNS[seen.seen], _LOOKS[seen.seen], f"{arch}: {_WORDS[seen.seen]}")


def _short(count: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if count >= size:
            return f"{count // (10**3 if unit == 'k' else size)}{unit}"
    return str(count)


def _missed(record: CoverageRecord) -> Iterator[MissedView]:
    for patch in record.patches:
        view = _patch(record, patch, {})
        for file in view.files:
            for row in (row for hunk in file.hunks for row in hunk.rows if row.anchor):
                on = [
                    arch
                    for arch, seen in zip(record.archs, row.line.archs, strict=True)
                    if seen.seen is Seen.MISSED
                ]
                where = f"{file.file.name}:{row.line.line}"
                yield MissedView(row.anchor, where, ", ".join(on), row.line.text.strip())
