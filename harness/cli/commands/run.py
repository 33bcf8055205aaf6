# SPDX-License-Identifier: GPL-2.0-only
"""Take a series from source to verdicts: build, boot and test every position.

Ends with a table position × test × arch and the paths of the HTML report, JUnit XML and JSON.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from harness.analysis.coverage.run import coverage_of
from harness.model.errors import HarnessError
from harness.plan.options import add_plan_options, plan_of
from harness.report import read_json, write_reports
from harness.report.analysis.coverage import forget_coverage, print_coverage, write_coverage
from harness.report.json import json_path
from harness.report.terminal.view import print_record
from harness.run.folder import run_folder
from harness.run.matrix import exit_code, run_plan
from harness.run.workspace import Workspace

HELP = "take a series from source to verdicts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options."""
    parser.add_argument("plan", nargs="?", type=Path, metavar="PLAN.toml", help="plan to run")
    add_plan_options(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="put the run's folder there")
    parser.add_argument("--fresh", action="store_true", help="boot every cell, reuse no verdict")
    parser.add_argument(
        "--coverage", action="store_true",
        help="show also which changed lines the tests execute, on a kernel with gcov counters",
    )  # fmt: skip


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Run the plan; reports are written even if it was interrupted."""
    plan = plan_of(vars(args), workspace.checkout, args.plan)
    with run_folder(workspace.checkout.runs, plan, args.out) as run:
        json_path(run.path).unlink(missing_ok=True)  # of an earlier run, as what follows
        try:
            record = run_plan(plan, workspace, run, fresh=args.fresh)
        except HarnessError:
            if json_path(run.path).is_file():
                write_reports(read_json(run.path), run.path)
            raise
    forget_coverage(run.path)  # of an earlier run that was given the same folder
    paths = write_reports(record, run.path)
    counted = coverage_of(plan, workspace, run) if args.coverage else None
    more = write_coverage(counted, run.path) if counted else ()
    paths = write_reports(record, run.path) if more else paths  # with the coverage in it
    workspace.settle()
    console = Console(highlight=False)
    print_record(console, record, paths)
    if counted:
        print_coverage(console, counted, more)
    return exit_code(record)
