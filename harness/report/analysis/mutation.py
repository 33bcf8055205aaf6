# SPDX-License-Identifier: GPL-2.0-only
"""Results of the mutants of a series: Markdown, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from harness.analysis.mutation.record import Fate, MutantResult, MutantsRecord
from harness.model.text import md_cell, one_line

# Those that a person must look at come first.
ORDER = (Fate.SURVIVED, Fate.UNDECIDED, Fate.KILLED, Fate.EQUIVALENT, Fate.UNBUILDABLE)


def headline(record: MutantsRecord) -> str:
    """Return one line: the number of mutants by fate."""
    counts = ", ".join(f"{record.count(f)} {f.value}" for f in ORDER if record.count(f))
    state = "" if record.finished else f"; {record.total - len(record.results)} not tried yet"
    return f"{record.total} mutants: {counts or 'none tried'}{state}"


def markdown(record: MutantsRecord) -> str:
    """Return the report as Markdown: each mutant, its fate and killer; diffs of survivors."""
    return "\n".join(_lines(record)) + "\n"


def print_mutants(console: Console, record: MutantsRecord) -> None:
    """Print the counts, and each mutant that was not killed."""
    table = Table(box=None, pad_edge=False)
    for column in ("fate", "where", "mutant"):
        table.add_column(column, overflow="fold")
    for result in record.results:
        if result.fate in (Fate.SURVIVED, Fate.UNDECIDED):
            where = f"{result.file}:{result.line}"
            table.add_row(result.fate.value, where, one_line(f"{result.what} {result.by}", 300))
    console.print(headline(record), markup=False)
    if table.row_count:
        console.print(table, markup=False)


def _lines(record: MutantsRecord) -> Iterator[str]:
    yield f"# Mutants of {record.series} on {record.arch}"
    yield ""
    yield (
        f"Position {record.position} over {record.base} ({record.tree_version}); "
        f"tests: {', '.join(record.tests)}."
    )
    yield ""
    yield f"**{headline(record)}.**"
    yield ""
    yield "| where | kind | mutant | fate | by |"
    yield "|---|---|---|---|---|"
    for result in record.results:
        row = (f"{result.file}:{result.line}", result.operator, result.what, result.fate.value)
        yield f"| {' | '.join(map(md_cell, row))} | {md_cell(result.by)} |"
    for result in record.results:
        if result.fate in (Fate.SURVIVED, Fate.UNDECIDED):
            yield from _in_full(result)


def _in_full(result: MutantResult) -> Iterator[str]:
    yield ""
    yield f"## {result.fate.value}: {result.what}"
    yield ""
    yield "```diff"
    yield result.diff.rstrip("\n")
    yield "```"
