# SPDX-License-Identifier: GPL-2.0-only
"""Render a finished run again, from its folder alone: nothing is built or booted."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.console import Console

from harness.host.paths import require_writable
from harness.model.errors import UserError
from harness.plan.plan import parse_names
from harness.report import write_reports
from harness.report.json import read_json
from harness.report.terminal.measures import print_measures
from harness.report.terminal.view import print_record
from harness.run.folder import find_run
from harness.run.matrix import exit_code
from harness.run.workspace import Workspace

HELP = "render a finished run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which run."""
    parser.add_argument(
        "run",
        nargs="?",
        default="latest",
        metavar="RUN",
        help="a run's folder or id (default: latest)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write into a copy of it there")
    parser.add_argument(
        "--figures", action="store_true", help="print also the figures that cases measured"
    )
    parser.add_argument(
        "--test", metavar="GLOB", help="of these tests only; a list, as in 'oom-*,vmalloc-*'"
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Write HTML and JUnit again and print the table; exit code as the run's own."""
    if args.test and not args.figures:
        raise UserError("--test selects figures to print", hint="give --figures as well")
    tests = parse_names(args.test) if args.test else ("*",)
    folder = find_run(workspace.checkout.runs, args.run).path
    record = read_json(folder)
    if args.out is not None and args.out.resolve() != folder:
        shutil.copytree(folder, args.out, dirs_exist_ok=True)
        folder = args.out
    require_writable(folder, "--out")
    console = Console(highlight=False)
    print_record(console, record, write_reports(record, folder))
    if args.figures:
        print_measures(console, record, tests)
    return exit_code(record)
