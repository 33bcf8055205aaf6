# SPDX-License-Identifier: GPL-2.0-only
"""Run a plan, then again whenever a file is saved that it depends on: from edit to verdict.

    harness watch --series edits:~/linux       a kernel tree that you edit, from its HEAD on
    harness watch --series edits:~/linux#v6.1  the same, with your commits since as patches
    harness watch --series vmalloc-nofail      patches, guest tests and config fragments

Only what an edit touches is compiled and run again. An edit during a run restarts it. Of a tree,
the position before uncommitted changes and the one with them are run. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.cli.watch_files import Watcher, watched_paths
from harness.host.paths import require_writable
from harness.model.errors import HarnessError, PatchError, UserError
from harness.model.results import RunRecord
from harness.model.values import Plan
from harness.plan.options import add_plan_options, plan_of
from harness.report import write_reports
from harness.report.terminal.view import View, print_record
from harness.run.folder import RunFolder
from harness.run.matrix import exit_code, run_prepared
from harness.run.prepare import ResolvedPlan, completed, prepare
from harness.run.workspace import Workspace
from harness.source.git_series import EDITS
from harness.verdict.changes import turned_since

HELP = "run a plan again whenever a file is saved: from edit to verdict"
FOLDER = "watch"  # below runs/: each round replaces the one before


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options."""
    parser.add_argument("plan", nargs="?", type=Path, metavar="PLAN.toml", help="plan to run")
    add_plan_options(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="put the run's folder there")
    parser.add_argument(
        "--rounds", type=int, default=0, metavar="N", help="end after N runs (default: on Ctrl-C)"
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Watch; return the exit code of the last round that was finished."""
    plan = completed(plan_of(vars(args), workspace.checkout, args.plan), workspace.checkout)
    workspace.settle()
    out = (args.out or workspace.checkout.runs / FOLDER).resolve()
    require_writable(out, "--out")
    out.mkdir(parents=True, exist_ok=True)
    checkout = workspace.checkout
    folders = (checkout.guest_tests, checkout.kconfigs, checkout.patches / plan.series)
    paths = watched_paths(folders, plan.series, plan.base)
    with Watcher(paths) as watcher:
        return _Rounds(plan, workspace, RunFolder(out), watcher).go(args.rounds)


class _Rounds:
    """One run after the other, each of the current files."""

    def __init__(self, plan: Plan, workspace: Workspace, run: RunFolder, watcher: Watcher) -> None:
        self._plan = plan
        self._workspace = workspace
        self._run = run
        self._watcher = watcher
        self._before: RunRecord | None = None
        self._console = Console(highlight=False)

    def go(self, rounds: int) -> int:
        """Run until Ctrl-C, or until so many *rounds* were finished (0: no limit)."""
        code = 0
        ended = 0
        outdated = True  # the first round, and one after an interrupted one, waits for no edit
        try:
            while not rounds or ended < rounds:
                if not outdated:
                    self._print("waiting for an edit (Ctrl-C ends)")
                    edited = self._watcher.wait()
                    self._print(f"saved: {', '.join(path.name for path in edited[:3])}")
                done = self._round(time.monotonic())
                outdated = done is None
                if done is not None:
                    code = done
                    ended += 1
        except KeyboardInterrupt:
            self._print("")
        return code

    def _round(self, since: float) -> int | None:
        """Run the plan; return its exit code, None if an edit interrupted it."""
        try:
            with (
                self._watcher.interruptible(),
                View(Console(stderr=True, highlight=False)) as view,
            ):
                workspace = replace(self._workspace, report=view, settle=view.close)
                record = run_prepared(self._prepared(workspace), workspace, self._run)
                paths = write_reports(record, self._run.path)
        except (KeyboardInterrupt, HarnessError) as error:
            if self._watcher.interrupted:
                self._watcher.take()
                self._print("saved again: restarting")
                return None
            # Before the first verdict it is the request that is wrong; a patch may be mended.
            if isinstance(error, UserError) and not (self._before or isinstance(error, PatchError)):
                raise
            if isinstance(error, HarnessError) and error.exit_code != 130:
                self._print("\n".join(error.lines))
                return error.exit_code
            raise KeyboardInterrupt from None
        print_record(self._console, record, paths)
        self._compare(record)
        self._print(f"from save to verdict: {time.monotonic() - since:.1f} s")
        return exit_code(record)

    def _prepared(self, workspace: Workspace) -> ResolvedPlan:
        ready = prepare(self._plan, workspace)
        if self._plan.series.startswith(f"{EDITS}:") and not self._plan.positions:
            return replace(ready, positions=ready.positions[-2:])
        return ready

    def _compare(self, record: RunRecord) -> None:
        if self._before is not None:
            for line in turned_since(self._before, record) or ("no verdict changed",):
                self._print(line)
        self._before = record

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)
