# SPDX-License-Identifier: GPL-2.0-only
"""Find the patch of a series that changes the verdict of one guest test, in few runs.

Each position tried is a whole run of the test, on every architecture and load of the plan: it
counts as FAIL when any of them fails. A patch that does not apply, build or boot is an answer too.
Positions that could not be tested are skipped, as by `git bisect skip`, and may leave a range of
suspects; each is named with its reason.

Exit codes: 0 a patch is found, or a range of them; 1 none changes the verdict; 3 that is open, as
positions could not be tested.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.analysis.bisect import Seen, search, seen_in
from harness.model.errors import UserError
from harness.model.events import Note
from harness.model.results import RunRecord
from harness.model.values import COMMIT_SHOWN
from harness.plan.options import add_plan_options, plan_of
from harness.report import read_json, write_json, write_reports
from harness.report.json import json_path
from harness.run.folder import run_folder
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
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="put the run's folder there")


def joined(steps: Sequence[RunRecord], about: str) -> RunRecord:
    """Return the runs of single positions, in the same folder, as one run of all of them."""
    cells = [cell for step in steps for cell in step.cells]
    kernels = [kernel for step in steps for kernel in step.kernels]
    positions = tuple(sorted({kernel.position for kernel in kernels}))
    return replace(
        steps[-1],
        started=steps[0].started,
        seconds=sum(step.seconds for step in steps),
        plan=replace(steps[-1].plan, positions=positions),
        kernels=tuple(sorted(kernels, key=lambda kernel: kernel.position)),
        cells=tuple(sorted(cells, key=lambda result: result.cell.position)),
        about=about,
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Search; 0: the patch is found, 1: none changes the verdict, 3: that could not be settled."""
    plan = plan_of(vars(args), workspace.checkout)
    ready = prepare(plan, workspace)
    if len(ready.tests) != 1:
        raise UserError(f"{len(ready.tests)} guest tests are chosen", hint="name one with --test")
    tried: list[RunRecord] = []

    def origin(position: int, file: str, line: int) -> int:
        return patch_of_line(ready.tree, ready.series, position, file, line)

    with (
        run_folder(workspace.checkout.runs, plan, args.out, "bisect") as run,
        Lab(ready, workspace) as lab,
    ):

        def seen_at(position: int) -> Seen:
            step = json_path(run.path)
            step.unlink(missing_ok=True)
            try:
                record = run_in(lab.with_plan(replace(ready, positions=(position,))), run)
            finally:  # an interrupted step has a record, too
                tried.extend([read_json(run.path)] if step.is_file() else [])
                if tried:
                    write_json(joined(tried, "bisect"), run.path)
            seen = seen_in(record.cells, origin)
            what = f": {seen.what}" if seen.what else ""
            workspace.report(Note(f"position {position}: {seen.verdict.value}{what}"))
            return seen

        finding = search(ready.positions, seen_at, args.seek)
    record = joined(tried, f"bisect: {finding.text}")
    write_json(record, run.path)
    paths = write_reports(record, run.path)
    workspace.settle()
    print(finding.text)
    for number in finding.suspects:
        patch = ready.series.patches[number - 1]
        words = filter(None, (patch.commit[:COMMIT_SHOWN], patch.title))
        print(f"  patch {number}: {' '.join(words)}")
    if finding.why:
        print(f"  {finding.why}")
    for line in finding.others:
        print(line)
    print(*(f"  {path}" for path in paths), sep="\n")
    if finding.suspects:
        return 0
    return 1 if finding.settled else 3
