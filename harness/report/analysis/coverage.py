# SPDX-License-Identifier: GPL-2.0-only
"""Coverage of a series: terminal output, Markdown, and the files of the report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.analysis.coverage.record import (
    CoverageRecord,
    DiffFile,
    DiffLine,
    PatchCoverage,
    Seen,
)
from harness.host.files import write_whole
from harness.model.jsonio import to_json
from harness.model.text import md_cell, one_line
from harness.report.analysis.coverage_text import HTML, JSON, headline, missed_lines, of_all
from harness.report.html.coverage import render
from harness.report.html.render import NAME as REPORT

MARKDOWN = "coverage.md"

# The end of a statement in C, or a label; not a lone brace or a comment.
_STATEMENT = re.compile(r"^[^*/]*[\w)\]]\s*;\s*(/\*.*)?$|^\s*\w+:\s*$")


def write_coverage(record: CoverageRecord, folder: Path) -> tuple[Path, ...]:
    """Write the reports of *record* into *folder*; return their paths."""
    texts = {
        HTML: render(record, report=(folder / REPORT).is_file()),
        MARKDOWN: markdown(record),
        JSON: to_json(record),
    }
    for name, text in texts.items():
        write_whole(folder / name, text)
    return tuple(folder / name for name in texts)


def forget_coverage(folder: Path) -> None:
    """Remove the reports from *folder*, if it has any."""
    for name in (HTML, MARKDOWN, JSON):
        (folder / name).unlink(missing_ok=True)


# ---------------------------------------------------------------- the terminal


def print_coverage(console: Console, record: CoverageRecord, paths: Iterable[Path] = ()) -> None:
    """Print the counts of each patch, the missed lines, and the paths of the reports."""
    table = Table(box=None, pad_edge=False)
    table.add_column("patch", overflow="fold")
    for arch in record.archs:
        table.add_column(one_line(arch), justify="right")
    for patch in record.patches:
        counts = [of_all(patch, number) for number in range(len(record.archs))]
        table.add_row(one_line(f"{patch.number} {patch.title}"), *counts)
    console.print(table, markup=False)
    for patch in record.patches:
        for file, line in missed_lines(patch):
            where = f"{file.name}:{line.line} ({', '.join(_missed_on(record, line))})"
            console.print(one_line(f"missed: {where}: {line.text}"), markup=False, style="red")
    for test in record.odd():
        console.print(one_line(f"{test.arch}: {test.name}: {_odd(test.counted, test.reason)}"),
                      markup=False, style="yellow")  # fmt: skip
    console.print(headline(record), markup=False, style="red" if record.missed else "green")
    for path in paths:
        console.print(f"  {path}", markup=False, soft_wrap=True)


def _odd(counted: bool, reason: str) -> str:
    lost = "" if counted else "its counters are lost; "
    return f"{lost}not as on the plain kernel: {reason}"


def _missed_on(record: CoverageRecord, line: DiffLine) -> list[str]:
    return [
        arch
        for arch, seen in zip(record.archs, line.archs, strict=True)
        if seen.seen is Seen.MISSED
    ]


# ---------------------------------------------------------------- Markdown


def markdown(record: CoverageRecord) -> str:
    """Return the report as Markdown: counts by patch, and each changed line with its tests."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: CoverageRecord) -> Iterator[str]:
    yield f"# Coverage of {record.series}"
    yield ""
    yield (
        f"Position {record.position} over {record.base} ({record.tree_version}). A line counts "
        "where gcov has a counter for it. Verdicts are those of the plain kernel; this one has "
        "gcov's counters in the touched files."
    )
    yield ""
    yield f"**{headline(record)}.**"
    yield ""
    yield f"| patch | {' | '.join(record.archs)} |"
    yield "|---|" + "---:|" * len(record.archs)
    for patch in record.patches:
        counts = (of_all(patch, number) for number in range(len(record.archs)))
        yield f"| {patch.number} {md_cell(patch.title)} | {' | '.join(counts)} |"
    for patch in record.patches:
        yield from _patch(record, patch)
    yield from _statements_without_counter(record)
    yield from _odd_tests(record)


def _statements_without_counter(record: CoverageRecord) -> Iterator[str]:
    """List the changed statements that have no counter."""
    silent = [
        (file, line)
        for patch in record.patches
        for file, line in patch.added()
        if line.archs
        and all(seen.seen is Seen.NO_CODE for seen in line.archs)
        and _STATEMENT.search(line.text)
    ]
    if silent:
        yield ""
        yield "## Changed statements without a counter"
        yield ""
        yield (
            "The compiler made no separate code of these: a jump merged with another, the rest of "
            "a statement that began further up. Mutants, which drop them one by one, test them."
        )
        yield ""
    for file, line in silent:
        source = one_line(line.text).replace("`", "'")
        yield f"- {md_cell(file.name)}:{line.line} `{source}`"


def _patch(record: CoverageRecord, patch: PatchCoverage) -> Iterator[str]:
    counted = [
        (file, line)
        for file, line in patch.added()
        if any(seen.seen in (Seen.EXECUTED, Seen.MISSED) for seen in line.archs)
    ]
    if not counted:
        return
    yield ""
    yield f"## Patch {patch.number}: {md_cell(patch.title)}"
    yield ""
    yield f"| line | source | {' | '.join(record.archs)} | executed by |"
    yield "|---|---|" + "---:|" * len(record.archs) + "---|"
    for file, line in counted:
        yield _row(file, line)


def _row(file: DiffFile, line: DiffLine) -> str:
    counts = " | ".join(
        f"{seen.count}" if seen.seen is Seen.EXECUTED else f"**{seen.seen.value}**"
        if seen.seen is Seen.MISSED else seen.seen.value
        for seen in line.archs
    )  # fmt: skip
    by = ", ".join(dict.fromkeys(test for seen in line.archs for test in seen.by))
    source = one_line(line.text).replace("`", "'").replace("|", "\\|")
    return f"| {md_cell(file.name)}:{line.line} | `{source}` | {counts} | {md_cell(by)} |"


def _odd_tests(record: CoverageRecord) -> Iterator[str]:
    odd = list(record.odd())
    if odd:
        yield ""
        yield "## Tests with another verdict than on the plain kernel"
        yield ""
        for test in odd:
            text = f"{test.arch}: {test.name}: {_odd(test.counted, test.reason)}"
            yield f"- {md_cell(text, 600)}"
