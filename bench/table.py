# SPDX-License-Identifier: GPL-2.0-only
"""The table in ``bench/README.md``, from results; pure but for :func:`write`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from bench.model import Unit
from bench.results import Conditions, Result, Results
from bench.stats import summary
from harness.host.files import write_whole

BEGIN, END = "<!-- written by the command: begin -->", "<!-- end -->"
MARKS = {"pass": "pass", "miss": "**miss**", "told": "", "not measured": "not measured"}
# Cores that were busy with something else: with more, the figures are of little worth.
IDLE = 0.1


def write(results: Results, readme: Path) -> None:
    """Replace the part of *readme* between its marks by the table of *results*."""
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    write_whole(readme, f"{before}{BEGIN}\n{render(results)}{END}{after}")


def render(results: Results) -> str:
    """Return table, notes and conditions as Markdown."""
    lines = [
        "| what | bar | measured | 95 % | | ours: median (min to max) | theirs | runs |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in results.rows),
        "",
        *_notes(results.rows),
        *_conditions(results.rows),
    ]
    return "\n".join(lines)


def terse(row: Result) -> str:
    """Return a row as one line for a terminal."""
    figure = row.estimate
    if figure is None:
        return f"{row.name}: not measured: {row.measured.failure}"
    bar = f", bar {_figure(row.bar, row.unit)}" if row.bar is not None else ""
    return f"{row.name}: {_figure(figure.value, row.unit)}{bar}: {row.verdict}"


def _line(row: Result) -> str:
    figure = row.estimate
    bar = "" if row.bar is None else f"≤ {_figure(row.bar, row.unit)}"
    if figure is None:
        cells = [row.title, bar, "", "", MARKS[row.verdict], "", "", ""]
    else:
        # What is told in a unit of its own is not a time.
        unit: Unit = "s" if row.unit == "ratio" else row.unit
        many = len(row.measured.ours) > 1
        cells = [
            row.title,
            bar,
            _figure(figure.value, row.unit),
            f"{_figure(figure.low, row.unit)} to {_figure(figure.high, row.unit)}" if many else "",
            MARKS[row.verdict],
            _spread(row.measured.ours, unit),
            _spread(row.measured.theirs, unit),
            str(len(row.measured.ours)),
        ]
    return f"| {' | '.join(cells)} |"


def _spread(samples: Sequence[float], unit: Unit) -> str:
    if not samples:
        return ""
    spread = summary(samples)
    if len(samples) == 1:
        return _figure(spread.median, unit)
    low, high = _figure(spread.low, unit), _figure(spread.high, unit)
    return f"{_figure(spread.median, unit)} ({low} to {high})"


def _figure(value: float | None, unit: Unit) -> str:
    """Write a figure as people read it: a ratio below one as a fraction."""
    if value is None:
        return ""
    if unit == "ratio":
        return f"1/{1 / value:.3g}" if 0 < value < 0.5 else f"{value:.2f}"
    if unit == "s":
        return f"{value:.3f} s" if value < 1 else f"{value:.2f} s"
    return f"{value:.4g}" + ("" if unit == "count" else f" {unit}")


def _notes(rows: Iterable[Result]) -> list[str]:
    notes = [f"- {row.title}: {row.reading}." for row in rows if row.reading]
    failures = [
        f"- {row.title}: not measured: {row.measured.failure}."
        for row in rows
        if row.measured.failure
    ]
    compared = {row.theirs for row in rows if row.theirs} | {row.ours for row in rows}
    what = [f"- `{said}`" for said in sorted(compared)]
    return [
        *_titled("Readings taken where a row has two", notes),
        *_titled("Not measured", failures),
        *_titled("What was run", what),
    ]


def _conditions(rows: Sequence[Result]) -> list[str]:
    said = []
    ordered = sorted(rows, key=lambda row: _key(row.conditions))
    for _, members in groupby(ordered, key=lambda row: _key(row.conditions)):
        group = list(members)
        under = group[-1].conditions
        busy = max(row.conditions.others for row in group)
        disturbed = f" **Not idle**: {busy:.2f} cores did something else." if busy > IDLE else ""
        names = ", ".join(row.name for row in group)
        said.append(
            f"- {under.date[:10]}, {under.machine}; {'; '.join(under.versions)}.{disturbed} "
            f"Rows: {names}."
        )
    return _titled("Where and with what", said)


def _key(under: Conditions) -> tuple[str, ...]:
    return (under.date[:10], under.machine, *under.versions)


def _titled(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", "", *lines, ""] if lines else []
