# SPDX-License-Identifier: GPL-2.0-only
"""The RAM each test needs at each position: cells at the sizes that the search picks.

First the smallest RAM with which the kernel comes up at all, then for each test the smallest
with which it passes. Every try is a cell like any other, so what is known is not run again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import replace

from harness.analysis.ram_threshold.search import (
    BOOT,
    Bounds,
    Threshold,
    ThresholdRecord,
    ThresholdRow,
    Tries,
    conclude,
    next_size,
)
from harness.guest.guest import BootFailure
from harness.host.deadline import Deadline
from harness.model.errors import BuildError
from harness.model.events import Note
from harness.model.results import CellResult
from harness.model.text import one_line
from harness.model.values import Arch, Cell, Kernel, Verdict
from harness.run.artifacts import GuestArtifacts
from harness.run.folder import RunFolder
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan
from harness.run.workspace import Workspace

# From launch to ready, on a host of reference speed: half a second with enough RAM. A guest
# with too little often stays silent for all of this time.
BOOT_S = 10.0


def find_thresholds(
    ready: ResolvedPlan,
    workspace: Workspace,
    run: RunFolder,
    bounds: Bounds,
    *,
    deadline: Deadline,
    fresh: bool = False,
    on_row: Callable[[ThresholdRecord], None] = lambda _: None,
) -> ThresholdRecord:
    """Search for every architecture, position, test and load of the plan until *deadline*.

    *on_row* gets the record each time one search is over.

    Raises:
        HarnessError: nothing could be tried, for a reason of ours or the user's.
    """
    with Lab(ready, workspace) as lab:
        searches = _Searches(lab, run, bounds, deadline, fresh, on_row)
        for position in ready.positions:
            for arch in ready.archs:
                searches.take(arch, position)
        searches.wait()
    return searches.record()


class _Missed(Exception):
    """A cell could not be run: what was asked for is not known."""


class _Searches:
    """All searches of one call."""

    def __init__(
        self,
        lab: Lab,
        run: RunFolder,
        bounds: Bounds,
        deadline: Deadline,
        fresh: bool,
        on_row: Callable[[ThresholdRecord], None],
    ) -> None:
        self._lab, self._run = lab, run
        self._bounds, self._deadline, self._fresh = bounds, deadline, fresh
        self._on_row = on_row
        self._running: list[futures.Future[None]] = []
        self._rows: list[ThresholdRow] = []
        self._lock = threading.Lock()

    def take(self, arch: Arch, position: int) -> None:
        """Build a kernel, and search beside the next one's build."""
        try:
            kernel = self._lab.kernel(arch, position)
        except (KernelFailed, BuildError) as error:
            missing = Threshold(None, f"no kernel: {error}", finished=False)
            self._enter(ThresholdRow(arch.name, position, BOOT, "none", missing))
            return
        self._submit(self._boots, arch, position, kernel)

    def wait(self) -> None:
        """Wait until every search is over, those that others started too."""
        done = 0
        while done < len(self._running):
            self._running[done].result()
            done += 1

    def record(self) -> ThresholdRecord:
        """Return what is known now, in the order of the plan."""
        ready = self._lab.ready
        names = [BOOT, *(test.name for test in ready.tests)]
        archs, loads = list(ready.plan.arch), ["none", *ready.plan.loads]

        def place(row: ThresholdRow) -> tuple[int, ...]:
            what = (names.index(row.test), loads.index(row.load))
            return (archs.index(row.arch), *what, row.position)

        with self._lock:
            rows = tuple(sorted(self._rows, key=place))
        return ThresholdRecord(
            series=ready.series.name,
            base=ready.plan.base,
            tree_version=ready.tree.version,
            patch_titles=tuple(patch.title for patch in ready.series.patches),
            bounds=self._bounds,
            rows=rows,
        )

    # ------------------------------------------------------------ in the pool

    def _submit(self, work: Callable[..., None], *args: object) -> None:
        with self._lock:
            self._running.append(self._lab.submit(work, *args))

    def _boots(self, arch: Arch, position: int, kernel: Kernel) -> None:
        """Find what the kernel boots with; the tests' searches start from there."""
        artifacts = self._lab.boot_artifacts(arch, kernel)

        def comes_up(size: int, _: int) -> tuple[bool, str]:
            try:
                self._lab.templates.make(self._lab.spec(arch, artifacts, size), BOOT_S)
            except BootFailure as failure:
                return False, failure.reason
            return True, ""

        # One try: the second time the template comes out of the store.
        found = self._search(replace(self._bounds, repeats=1), comes_up)
        self._enter(ThresholdRow(arch.name, position, BOOT, "none", found))
        if found.mib is None:
            return
        bounds = replace(self._bounds, low=found.mib)
        whole = self._lab.guest_artifacts(arch, kernel)
        for cell in self._lab.ready.cells(arch, position):
            if cell.repeat == 0:
                self._submit(self._passes, arch, whole, cell, bounds)

    def _passes(self, arch: Arch, artifacts: GuestArtifacts, cell: Cell, bounds: Bounds) -> None:
        """Find what one test passes with."""

        def passes(size: int, number: int) -> tuple[bool, str]:
            one = replace(cell, ram_mib=size, repeat=number)
            job = self._lab.job(arch, artifacts, one)
            if job.broken:
                raise _Missed(f"could not be tried: {job.broken[0].what}")
            result = self._lab.run(job, self._run, fresh=self._fresh)
            if result.verdict is Verdict.MISS:
                raise _Missed(f"could not be tried with {size}M: {result.reason}")
            return result.verdict is Verdict.PASS, _say(result)

        found = self._search(bounds, passes)
        self._enter(ThresholdRow(cell.arch, cell.position, cell.test, cell.load, found))

    def _search(self, bounds: Bounds, attempt: Callable[[int, int], tuple[bool, str]]) -> Threshold:
        known: dict[int, Tries] = {}
        while (size := next_size(known, bounds)) is not None and not self._deadline.passed:
            tries = known.get(size, Tries())
            try:
                known[size] = tries.add(*attempt(size, tries.passed + tries.failed))
            except _Missed as missed:
                return Threshold(None, str(missed), finished=False)
        return conclude(known, bounds)

    def _enter(self, row: ThresholdRow) -> None:
        with self._lock:
            self._rows.append(row)
        self._lab.workspace.report(Note(row.text))
        self._on_row(self.record())


def _say(result: CellResult) -> str:
    return one_line(f"{result.verdict.value}: {result.reason}", 200)
