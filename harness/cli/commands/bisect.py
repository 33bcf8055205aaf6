# SPDX-License-Identifier: GPL-2.0-only
"""Find the patch of a series that changes the verdict of one guest test, in few runs.

Each position tried is a whole run of the test, on every architecture and load of the plan: it
counts as FAIL when any of them fails. A patch that does not apply, build or boot is an answer too.
Positions that could not be tested are skipped, as by `git bisect skip`, and may leave a range of
suspects; each is named with its reason.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from harness.analysis.bisect import Seen, search, seen_in
from harness.model.errors import UserError
from harness.model.events import Note
from harness.plan.options import add_plan_options, plan_of
from harness.report import write_reports
from harness.run.folder import new_run_folder
from harness.run.lab import Lab
from harness.run.matrix import run_in
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from harness.source.line_origin import patch_of_line

HELP = "find the patch of a series that changes the verdict of a guest test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options and ``--seek``."""
    parser.add_argument(
        "--seek",
        choices=("bad", "fix"),
        default="bad",
        help="the patch that makes the test fail (default), or the one that makes it pass",
    )
    add_plan_options(parser)


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Search; 0: the patch is found, 1: none changes the verdict, 3: that could not be settled."""
    plan = plan_of(vars(args), workspace.checkout)
    ready = prepare(plan, workspace)
    if len(ready.tests) != 1:
        raise UserError(f"{len(ready.tests)} guest tests are chosen", hint="name one with --test")
    with Lab(ready, workspace) as lab:

        def seen_at(position: int) -> Seen:
            one = replace(ready, positions=(position,), plan=replace(plan, positions=(position,)))
            run = new_run_folder(workspace.checkout.runs, one.plan)
            record = run_in(lab.with_plan(one), run)
            write_reports(record, run.path)
            seen = seen_in(record.cells, origin)
            what = f": {seen.what}" if seen.what else ""
            workspace.report(Note(f"position {position}: {seen.verdict.value}{what}"))
            return seen

        def origin(position: int, file: str, line: int) -> int:
            return patch_of_line(ready.tree, ready.series, position, file, line)

        finding = search(ready.positions, seen_at, args.seek)
    workspace.settle()
    print(finding.text)
    for number in finding.suspects:
        print(f"  patch {number}: {ready.series.title_at(number)}")
    for line in finding.others:
        print(line)
    if finding.suspects:
        return 0
    return 1 if finding.settled else 3
