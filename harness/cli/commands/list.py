# SPDX-License-Identifier: GPL-2.0-only
"""List architectures, series, guest tests, loads, config topics, bases and runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from harness.arch import all_archs
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.plan.descriptions import load_loads, load_tests
from harness.run.workspace import Workspace
from harness.source.fetch import schemes
from harness.source.series import covered, series_names

HELP = "list architectures, series, tests, loads, topics, bases and runs"
Rows = Iterable[tuple[str, str]]


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


def _runs(workspace: Workspace) -> Rows:
    for file in sorted(workspace.checkout.runs.glob("*/run.json")):
        if not file.parent.is_symlink():
            yield file.parent.name, str(file.parent)


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
        table = Table(title=kind, title_justify="left", box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for name, text in KINDS[kind](workspace):
            table.add_row(name, text)
        console.print(table)
        console.print()
    return 0
