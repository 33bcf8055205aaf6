# SPDX-License-Identifier: GPL-2.0-only
"""Show which changed lines of a series the guest tests execute, patch by patch.

The kernel of one position is built with gcov counters in the C files that the series touches.
Each test runs on it in a guest of its own; the report has every patch's diff with the executions
of each line beside it, on each architecture.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.analysis.coverage.record import CoverageRecord
from harness.analysis.coverage.run import coverage_of
from harness.model.errors import UserError
from harness.plan.options import add_plan_options, plan_of
from harness.report.analysis.coverage import print_coverage, write_coverage
from harness.run.folder import run_folder
from harness.run.workspace import Workspace

HELP = "show which changed lines of a series the tests execute"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of plan and coverage."""
    add_plan_options(parser)
    parser.add_argument(
        "--count",
        action="append",
        default=[],
        metavar="FILE.c",
        help="count the lines of this file too, and of a touched header where it includes one",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="put the report there")


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Count; 0: each changed line with code is executed, 1: one is not, 3: counters were lost."""
    plan = plan_of(vars(args), workspace.checkout)
    if len(plan.positions) > 1:
        raise UserError(f"--position names {len(plan.positions)}", hint="name one")
    plan = replace(plan, loads=("none",) if args.load is None else plan.loads)
    with run_folder(workspace.checkout.runs, plan, args.out, "coverage") as run:
        record = coverage_of(plan, workspace, run, args.count)
    paths = write_coverage(record, run.path)
    workspace.settle()
    print_coverage(Console(highlight=False), record, paths)
    return exit_code(record)


def exit_code(record: CoverageRecord) -> int:
    """Return the exit code of the command."""
    if not all(test.counted for test in record.tests):
        return 3
    return 1 if record.missed else 0
