# SPDX-License-Identifier: GPL-2.0-only
"""Find the patch of a series that changes the verdict of one guest test, in few runs.

Each position tried is a whole run of the test, on every architecture and load of the plan: it
counts as FAIL when any of them fails. Positions that cannot be built or tested are skipped,
as by `git bisect skip`, and may leave a range of suspects.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from harness.analysis.bisect import search
from harness.model.errors import UserError
from harness.model.events import Note
from harness.model.values import Verdict
from harness.plan.options import add_plan_options, plan_of
from harness.report import write_reports
from harness.run.folder import new_run_folder
from harness.run.matrix import run_plan
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

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
    """Search; 0 when the patch is found, 1 when no patch changes the verdict."""
    plan = plan_of(vars(args), workspace.checkout)
    ready = prepare(plan, workspace)
    if len(ready.tests) != 1:
        raise UserError(f"{len(ready.tests)} guest tests are chosen", hint="name one with --test")

    def verdict_at(position: int) -> Verdict:
        one = replace(plan, positions=(position,))
        run = new_run_folder(workspace.checkout.runs, one)
        record = run_plan(one, workspace, run)
        write_reports(record, run.path)
        verdict = Verdict.worst(tuple(cell.verdict for cell in record.cells))
        workspace.report(Note(f"position {position}: {verdict.value}"))
        return verdict

    finding = search(ready.positions, verdict_at, args.seek)
    workspace.settle()
    print(finding.text)
    for position in finding.suspects:
        print(f"  patch {position}: {ready.series.title_at(position)}")
    return 0 if finding.suspects else 1
