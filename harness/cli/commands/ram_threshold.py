# SPDX-License-Identifier: GPL-2.0-only
"""Find the smallest RAM with which each guest test passes, at each position and architecture.

The kernel is booted with ever less until it does not come up, then each test is searched by
bisection. A size is enough when the test passes in every repeat. Results are kept, so a search
that was stopped continues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.analysis.ram_threshold.run import find_thresholds
from harness.analysis.ram_threshold.search import Bounds, ThresholdRecord
from harness.host.deadline import Deadline
from harness.host.files import write_whole
from harness.model.errors import UserError
from harness.model.jsonio import to_json
from harness.plan.options import add_plan_options, plan_of
from harness.plan.plan import parse_ram
from harness.report.analysis.ram_threshold import figure, markdown, print_thresholds
from harness.run.folder import run_folder
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

HELP = "find the smallest RAM with which each guest test passes"
NAME = "ram-threshold"
REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options and the bounds of the search."""
    add_plan_options(parser)
    group = parser.add_argument_group("search")
    group.add_argument("--from", dest="low", metavar="RAM", default="24M", help="default: 24M")
    group.add_argument("--to", dest="high", metavar="RAM", default="128M", help="default: 128M")
    group.add_argument("--step", type=int, metavar="MIB", default=4, help="default: 4")
    group.add_argument("--minutes", type=float, metavar="N", help="start no run after N minutes")
    group.add_argument("--fresh", action="store_true", help="reuse no earlier result")
    group.add_argument("--out", type=Path, metavar="FOLDER", help="put the report there")


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Search; 0 when every search was finished, else 3."""
    plan = plan_of(vars(args), workspace.checkout)
    if args.ram is not None:
        raise UserError(
            "--ram has no effect on a search", hint="give the bounds as --from and --to"
        )
    plan = replace(plan, loads=("none",) if args.load is None else plan.loads)
    low, high = parse_ram(args.low), parse_ram(args.high)
    if not low < high or args.step < 1:
        raise UserError(
            f"nothing lies between --from {low}M and --to {high}M in steps of {args.step}M",
            hint="give bounds that grow and a step of at least 1",
        )
    repeats = plan.repeat if args.repeat is not None else REPEATS
    bounds = Bounds(low, high, args.step, repeats)
    ready = prepare(plan, workspace)
    deadline = Deadline(args.minutes * 60) if args.minutes else Deadline.never()
    with run_folder(workspace.checkout.runs, plan, args.out, "ram") as run:

        def keep(record: ThresholdRecord) -> None:
            write_whole(run.path / f"{NAME}.json", to_json(record))
            write_whole(run.path / f"{NAME}.svg", figure(record))
            write_whole(run.path / f"{NAME}.md", markdown(record, f"{NAME}.svg"))

        where = (ready, workspace, run, bounds)
        record = find_thresholds(*where, deadline=deadline, fresh=args.fresh, on_row=keep)
    workspace.settle()
    print_thresholds(Console(highlight=False), record)
    for suffix in ("md", "svg", "json"):
        print(f"  {run.path / f'{NAME}.{suffix}'}")
    return 0 if record.finished else 3
