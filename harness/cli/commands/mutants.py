# SPDX-License-Identifier: GPL-2.0-only
"""Mutation testing: make wrong variants of a series, and count those that a guest test detects.

Each mutant has one small error in a line that the series added: a statement dropped, a condition
negated, a flag removed, a loop run one time only, a hunk reverted ... It is built on top of the
position, booted, and tested until a test fails. Killed: one did. Survived: none. Equivalent: it
compiles to the same code. A run that was interrupted continues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.analysis.mutation.record import Fate, MutantsRecord
from harness.analysis.mutation.run import find_mutants, run_mutants
from harness.host.deadline import Deadline
from harness.host.files import write_whole
from harness.model.errors import UserError
from harness.model.jsonio import to_json
from harness.plan.options import add_plan_options, plan_of
from harness.plan.plan import parse_positions
from harness.report.analysis.mutation import markdown, print_mutants
from harness.run.folder import run_folder
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

HELP = "mutation testing: make wrong variants of a series, see which ones tests detect"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options, and the mutants'."""
    add_plan_options(parser)
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="start no mutant after N minutes"
    )
    parser.add_argument("--only", metavar="LIST", help="only these mutants: 13 or 1-9,38")
    parser.add_argument("--list", action="store_true", help="list the mutants, build none")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="put the report there")


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Run them; 0: all are killed or equivalent, 1: one survived, 3: some are undecided."""
    plan = plan_of(vars(args), workspace.checkout)
    plan = replace(plan, loads=("none",) if args.load is None else plan.loads)
    for what, values in (("load", plan.loads), ("ram", plan.ram_mib), ("position", plan.positions)):
        if len(values) > 1:
            raise UserError(f"--{what} names {len(values)}", hint="mutants are tried under one")
    ready = prepare(plan, workspace)
    position = plan.positions[0] if plan.positions else ready.series.positions[-1]
    if args.list:
        workspace.settle()
        for number, (mutant, _) in enumerate(find_mutants(ready, position), 1):
            print(f"{number:3d} {mutant.file}:{mutant.line}: {mutant.operator}: {mutant.what}")
        return 0
    only = parse_positions(args.only) if args.only else ()
    deadline = Deadline(args.minutes * 60) if args.minutes else Deadline.never()
    records = []
    with run_folder(workspace.checkout.runs, plan, args.out, "mutants") as run:

        def keep(record: MutantsRecord) -> None:
            write_whole(run.path / f"mutants-{record.arch}.json", to_json(record))
            write_whole(run.path / f"mutants-{record.arch}.md", markdown(record))

        for arch in ready.archs:
            words = (ready, arch, position, workspace, run)
            records.append(run_mutants(*words, deadline=deadline, on_result=keep, only=only))
    workspace.settle()
    for record in records:
        print_mutants(Console(highlight=False), record)
        print(f"  {run.path / f'mutants-{record.arch}.md'}")
    return _exit_code(records)


def _exit_code(records: list[MutantsRecord]) -> int:
    if any(record.count(Fate.SURVIVED) for record in records):
        return 1
    undecided = any(record.count(Fate.UNDECIDED) or not record.finished for record in records)
    return 3 if undecided else 0
