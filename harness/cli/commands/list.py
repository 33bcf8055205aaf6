# SPDX-License-Identifier: GPL-2.0-only
"""List architectures, series, guest tests, loads, config topics, bases and runs."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.arch import all_archs
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.text import one_line
from harness.plan.descriptions import load_loads, load_tests
from harness.report.json import json_path, read_json
from harness.report.matrix import summary
from harness.run.folder import other_reports
from harness.run.workspace import Workspace
from harness.source.fetch import schemes
from harness.source.series import covered, series_names

HELP = "list architectures, series, tests, loads, topics, bases and runs"
Rows = Iterable[tuple[str, ...]]
GAP = 2  # blanks between columns
LEAST = 20  # columns that a text is wrapped to


def _archs(_: Workspace) -> Rows:
    return [(a.name, f"{a.qemu} -machine {a.machine}") for a in all_archs()]


def _series(workspace: Workspace) -> Rows:
    for name in series_names(workspace.checkout):
        yield name, f"for {', '.join(covered(workspace.checkout.patches / name))}"


def _tests(workspace: Workspace) -> Rows:
    return [(t.name, t.summary) for t in load_tests(workspace.checkout).values()]


def _loads(workspace: Workspace) -> Rows:
    return [(load.name, load.summary) for load in load_loads(workspace.checkout).values()]


def _topics(workspace: Workspace) -> Rows:
    for file in sorted(workspace.checkout.kconfigs.glob("*.config")):
        lines = file.read_text(encoding="utf-8").splitlines()
        comments = (line for line in lines if line.startswith("# ") and "SPDX" not in line)
        yield file.stem, next(comments, "").lstrip("# ")


def _bases(_: Workspace) -> Rows:
    return [(f"{name}:", module.HELP) for name, module in schemes().items()]


def _no_record(folder: Path) -> str:
    """Return what is in the folder of a run without a record of verdicts that can be read."""
    if json_path(folder).exists():
        return "its run.json is damaged, or of another version of the harness"
    pages = other_reports(folder)
    return f"no verdicts; see {pages[0].name}" if pages else "interrupted, or still running"


def _runs(workspace: Workspace) -> Rows:
    """Yield id, beginning, series and outcome of each run, also of one that has no verdicts."""
    for folder in sorted(workspace.checkout.runs.glob("[!.]*/")):
        if folder.is_symlink():
            continue
        try:
            record = read_json(folder)
        except UserError:
            yield one_line(folder.name), "", "", _no_record(folder)
        else:
            began = one_line(record.started[:16].replace("T", " "))
            yield one_line(folder.name), began, one_line(record.name), summary(record)


KINDS: dict[str, Callable[[Workspace], Rows]] = {
    "archs": _archs,
    "series": _series,
    "tests": _tests,
    "loads": _loads,
    "topics": _topics,
    "bases": _bases,
    "runs": _runs,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which kinds to list."""
    parser.add_argument(
        "kind", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)"
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Print a block for every kind asked for."""
    for kind in args.kind:
        if kind not in KINDS:
            raise UserError(f"unknown kind '{kind}'", hint=suggest(kind, KINDS))
    console = Console(highlight=False)
    for kind in args.kind or KINDS:
        console.print(Text(kind, style="italic"))
        rows = list(KINDS[kind](workspace))
        for line in lay_out(rows, console.width if console.is_terminal else 0):
            console.print(Text(line), soft_wrap=True)
        console.print()
    return 0


def lay_out(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[str]:
    """Yield the lines of a table in at most *width* columns; 0: as wide as it is.

    Names, in the first column, stay whole, so that they can be copied; nothing is cut off.
    """
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    fits = not width or 1 + sum(widths) + GAP * (len(widths) - 1) <= width
    for name, *rest in rows:
        if fits or len(widths) == 2:
            cells = zip((name, *rest), widths, strict=False)
            line = " " + (" " * GAP).join(cell.ljust(wide) for cell, wide in cells).rstrip()
            yield from [line] if fits else _wrapped(line, width, 1 + widths[0] + GAP)
        else:
            yield f" {name}"
            yield from _wrapped("    " + (" " * GAP).join(filter(None, rest)), width, 4)


def _wrapped(line: str, width: int, indent: int) -> list[str]:
    """Return *line*, of its continuations *indent* columns, wrapped between words."""
    if width - indent < LEAST:
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
