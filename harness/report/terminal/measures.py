# SPDX-License-Identifier: GPL-2.0-only
"""Figures of cases in a terminal: one table for each test, a column for each position."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.model.results import RunRecord
from harness.model.text import one_line
from harness.report.matrix import lay_out
from harness.report.measures import Compared, side_by_side
from harness.report.terminal.table import fit

_NUMBER = re.compile(r"(\d+)(?: (.+))?")


@dataclass(frozen=True)
class Measured:
    """What one test measured, under one load and with so much RAM, on one architecture."""

    title: str
    positions: tuple[int, ...]
    rows: tuple[Compared, ...]


def measured(record: RunRecord, tests: Sequence[str]) -> Iterator[Measured]:
    """Yield what the tests of *record* that match a glob of *tests* measured, in matrix order."""
    matrix = lay_out(record.cells, record.plan.arch)
    for row in matrix.rows:
        if not any(fnmatchcase(row.test, pattern) for pattern in tests):
            continue
        for arch in matrix.archs:
            found = {p: matrix.at(row, arch, p) for p in matrix.positions}
            columns = {p: result.cases for p, result in found.items() if result}
            rows = side_by_side(columns.values())
            if rows:
                title = f"{row.test}{matrix.suffix(row)} on {arch}"
                yield Measured(one_line(title), tuple(columns), rows)


def print_measures(console: Console, record: RunRecord, tests: Sequence[str]) -> None:
    """Print a table for each of :func:`measured`; figures that differ are bold."""
    ascii_only = console.options.ascii_only
    found = tuple(measured(record, tests))
    for one in found:
        console.print()
        console.print(Text(fit(one.title, ascii_only=ascii_only), style="bold"))
        console.print(_table(one, ascii_only, unpatched=record.unpatched))
    if not found:
        wanted = one_line(", ".join(tests))
        console.print(Text(f"no test that matches '{wanted}' printed a figure"))


def _table(one: Measured, ascii_only: bool, *, unpatched: bool) -> Table:
    table = Table(box=None, pad_edge=False, show_header=not unpatched, header_style="dim")
    table.add_column("patches applied", overflow="fold")
    for position in one.positions:
        table.add_column(str(position), justify="right", overflow="fold")
    table.add_column("", overflow="fold")
    for case, rows in groupby(one.rows, lambda row: row.case):
        table.add_row(Text(fit(case, ascii_only=ascii_only), style="dim"))
        for row in rows:
            values, unit = _common_unit(row.values)
            words = (f"  {row.name}", *values, unit)
            style = "bold" if row.differs else "dim"
            table.add_row(*(Text(fit(word, ascii_only=ascii_only), style=style) for word in words))
    return table


def _common_unit(values: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Take out of *values* the unit that all have; they are left as they are without one."""
    read = [_NUMBER.fullmatch(value) for value in values if value]
    units = {match[2] or "" if match else None for match in read}
    unit = units.pop() if len(units) == 1 else None
    if unit is None:
        return tuple(values), ""
    return tuple(value.removesuffix(unit).rstrip() for value in values), unit
