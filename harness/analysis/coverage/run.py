# SPDX-License-Identifier: GPL-2.0-only
"""Coverage of a series: which of its changed lines the tests execute, patch by patch.

The kernel is one of its own: the files that the series touches count their lines, and that
changes their code. Verdicts are those of the plain kernel; where a test goes otherwise here, the
record says so.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.analysis.coverage.diff_lines import Counts, PlacedFile, follow, place
from harness.analysis.coverage.gcov import (
    count_lines,
    counted_sources,
    read_counters,
    reset_counters,
)
from harness.analysis.coverage.record import (
    CoverageRecord,
    DiffFile,
    DiffHunk,
    DiffLine,
    LineSeen,
    PatchCoverage,
    Seen,
    TestSeen,
)
from harness.guest.guest import Guest
from harness.host.files import key_of
from harness.model.errors import GuestError, UserError
from harness.model.events import Stage
from harness.model.jsonio import from_json, to_json
from harness.model.results import CellResult, Ended, Observation
from harness.model.values import Arch, Kernel, Plan
from harness.run.cell import OBSERVED, CellJob, judged, unfit_result, worth_keeping
from harness.run.folder import RunFolder
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan, prepare
from harness.run.workspace import Workspace
from harness.source.apply import contents_at
from harness.verdict.judge import missed_result

TOPIC = "gcov"  # the fragment that a kernel needs to count
KIND, COUNTS = "coverage", "counts.json"
# Raise it when the same guest would be read in another way.
CACHE_VERSION = "1"


@dataclass(frozen=True)
class _Tested:
    """One test on one architecture."""

    result: CellResult
    counts: Counts
    counted: bool
    reused: bool


@dataclass(frozen=True)
class _ArchCounts:
    """The counts of one architecture's tests."""

    arch: Arch
    sources: tuple[str, ...]  # whose lines are counted
    tested: tuple[_Tested, ...]
    known: Mapping[str, frozenset[int]] = field(default_factory=dict)  # lines that have code


def touched_sources(
    ready: ResolvedPlan, position: int, further: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the C files that count their lines: those that patches touch, and *further* ones."""
    touched = {name for patch in ready.series.patches[:position] for name in patch.touches}
    contents = contents_at(ready.tree, ready.series, position)
    there = {name for name in touched if name.endswith(".c") and contents.get(name) is not None}
    for name in further:
        if not name.endswith(".c") or not (name in there or (ready.tree.path / name).is_file()):
            raise UserError(f"{name} is no C file of {ready.tree.version}")
    return tuple(sorted(there | set(further)))


def coverage_of(
    plan: Plan, workspace: Workspace, run: RunFolder, further: Sequence[str] = ()
) -> CoverageRecord:
    """Return the coverage of *plan* at its last position; else as :func:`run_coverage`."""
    config = tuple(dict.fromkeys((*plan.config, TOPIC)))
    ready = prepare(replace(plan, config=config, repeat=1), workspace)
    return run_coverage(ready, ready.positions[-1], workspace, run, further)


def run_coverage(
    ready: ResolvedPlan,
    position: int,
    workspace: Workspace,
    run: RunFolder,
    further: Sequence[str] = (),
) -> CoverageRecord:
    """Build the kernel that counts, run every test on it, and say what became of each line.

    ``ready.plan.config`` has :data:`TOPIC`. What a test counted on a kernel is kept, and not run
    again.

    Raises:
        UserError: the series has no C file at *position*.
        HarnessError: a kernel cannot be built, or the host lacks something.
    """
    sources = touched_sources(ready, position, further)
    if not sources:
        raise UserError(
            f"series '{ready.series.name}' touches no C file up to position {position}",
            hint="lines of a header are counted in the C files that --count names",
        )
    placed = place_patches(ready, position)
    with Lab(ready, workspace) as lab:
        archs = tuple(_count(lab, arch, position, sources, run) for arch in ready.archs)
    patches = ready.series.patches[:position]
    return CoverageRecord(
        series=ready.series.name,
        series_title=ready.series.title,
        base=ready.plan.base,
        tree_version=ready.tree.version,
        position=position,
        archs=tuple(arch.name for arch in ready.archs),
        patches=tuple(
            PatchCoverage(patch.number, patch.title, tuple(_file(f, archs) for f in files))
            for patch, files in zip(patches, placed, strict=True)
        ),
        tests=tuple(_test_seen(arch.arch.name, one) for arch in archs for one in arch.tested),
    )


def place_patches(ready: ResolvedPlan, position: int) -> tuple[tuple[PlacedFile, ...], ...]:
    """Return what each patch brings, its lines as they are numbered at *position*."""
    placed = []
    for patch in ready.series.patches[:position]:
        contents = contents_at(ready.tree, ready.series, patch.number)
        after = {
            name: content.data.decode("utf-8", "backslashreplace")
            for name, content in contents.items()
            if content is not None and not content.link
        }
        placed.append(place(patch.file.read_bytes().decode("utf-8", "backslashreplace"), after))
    return tuple(follow(files, placed[number + 1 :]) for number, files in enumerate(placed))


# ---------------------------------------------------------------- guests


def _count(
    lab: Lab, arch: Arch, position: int, sources: tuple[str, ...], run: RunFolder
) -> _ArchCounts:
    kernel = lab.kernel(arch, position, sources)
    counted = counted_sources(kernel, sources)
    artifacts = lab.guest_artifacts(arch, kernel)
    one = _Counting(arch, kernel, counted, lab, run)
    jobs = [lab.job(arch, artifacts, cell) for cell in lab.ready.cells(arch, position)]
    waiting = [lab.submit(one.try_test, job) for job in jobs]
    tested: list[_Tested] = []
    for number, future in enumerate(waiting, 1):
        tested.append(future.result())
        cell = tested[-1].result.cell
        text = f"{arch.name} {cell.column}: {'counted' if tested[-1].counted else 'lost'}"
        last = number == len(waiting)
        lab.workspace.report(Stage(f"coverage {arch.name}", text, number, len(waiting), last))
    known: dict[str, frozenset[int]] = {}
    for done in tested:
        for name, lines in done.counts.items():
            known[name] = known.get(name, frozenset()) | lines.keys()
    return _ArchCounts(arch, counted, tuple(tested), known)


@dataclass(frozen=True)
class _Counting:
    """Runs tests on one kernel that counts."""

    arch: Arch
    kernel: Kernel
    sources: tuple[str, ...]
    lab: Lab
    run: RunFolder

    def try_test(self, job: CellJob) -> _Tested:
        """Return what *job*'s test executed, or why there is nothing to execute."""
        unfit = unfit_result(job, self._folder(job))
        return self.test(job) if unfit is None else _Tested(unfit, {}, False, False)

    def test(self, job: CellJob) -> _Tested:
        """Return what *job*'s test executed, from the store where it is known."""
        store, key = self.lab.workspace.store, key_of(CACHE_VERSION, job.key, *self.sources)
        kept = store.get(KIND, key)
        if kept is not None:
            seen = from_json(Observation, (kept / OBSERVED).read_text(encoding="utf-8"))
            counts = _read_counts((kept / COUNTS).read_text(encoding="utf-8"))
            return _Tested(judged(job, seen), counts, True, True)
        folder = self._folder(job)
        counters: dict[str, bytes] = {}

        @contextlib.contextmanager
        def around(guest: Guest) -> Iterator[None]:
            reset_counters(guest)
            yield
            if guest.alive:  # one that died, or hangs, has taken its counters along
                counters.update(read_counters(guest, self.sources))

        try:
            seen = self.lab.observe(job, folder, around)
        except GuestError as error:
            result = missed_result(job.cell, job.test, job.series.name, error.what)
            return _Tested(result, {}, False, False)
        result = judged(job, seen)
        self.run.save_result(result)
        if not counters:
            return _Tested(result, {}, False, False)
        counts = count_lines(self.kernel, self.arch, counters)
        outcome = seen.outcome
        if outcome is not None and outcome.ended is Ended.DONE and worth_keeping(outcome):
            store.put(KIND, key, lambda into: _write(into, seen, counts))
        return _Tested(result, counts, True, False)

    def _folder(self, job: CellJob) -> Path:
        """Return the cell's folder, empty."""
        folder = self.run.cell(job.cell)
        if folder.exists():  # of an earlier run that was given the same folder
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder


def _write(into: Path, seen: Observation, counts: Counts) -> None:
    (into / OBSERVED).write_text(to_json(seen, indent=None), encoding="utf-8")
    (into / COUNTS).write_text(json.dumps(counts), encoding="utf-8")


def _read_counts(text: str) -> Counts:
    return {
        name: {int(line): count for line, count in lines.items()}
        for name, lines in json.loads(text).items()
    }


# ---------------------------------------------------------------- lines


def _test_seen(arch: str, one: _Tested) -> TestSeen:
    result = one.result
    return TestSeen(
        arch=arch,
        name=result.cell.column,
        verdict=result.verdict,
        as_expected=result.as_expected,
        reason=result.reason,
        counted=one.counted,
        seconds=round(result.seconds, 1),
        reused=one.reused,
    )


def _file(file: PlacedFile, archs: Sequence[_ArchCounts]) -> DiffFile:
    hunks = tuple(
        DiffHunk(
            hunk.heading,
            tuple(
                DiffLine(
                    line.mark,
                    line.text,
                    line.line,
                    ()
                    if line.mark == "-"
                    else tuple(line_seen(file.name, line.line, arch) for arch in archs),
                )
                for line in hunk.lines
            ),
        )
        for hunk in file.hunks
    )
    return DiffFile(file.name, hunks, _note(file.name, archs))


def line_seen(name: str, line: int, arch: _ArchCounts) -> LineSeen:
    """Say what became of a line; it is 0 where a later patch took it out."""
    if not line:
        return LineSeen(Seen.GONE)
    if name.endswith((".c", ".S")) and name not in arch.sources:
        return LineSeen(Seen.UNCOUNTED)
    if any(one.counted for one in arch.tested) and line not in arch.known.get(name, ()):
        return LineSeen(Seen.NO_CODE)
    counts = [
        (one.result.cell.column, one.counts.get(name, {}).get(line, 0)) for one in arch.tested
    ]
    by = tuple(dict.fromkeys(test for test, count in counts if count))
    total = sum(count for _, count in counts)
    return LineSeen(Seen.EXECUTED if total else Seen.MISSED, total, by)


def _note(name: str, archs: Sequence[_ArchCounts]) -> str:
    """Say how the lines of a file come to be counted, where that is not by its own object."""
    if name.endswith(".S"):
        return "assembly is not counted"
    if name.endswith(".c"):
        without = [arch.arch.name for arch in archs if name not in arch.sources]
        return f"not compiled by itself on {', '.join(without)}" if without else ""
    if name.endswith(".h"):
        counted = dict.fromkeys(name for arch in archs for name in arch.sources)
        return f"counted where {', '.join(counted)} have code of it" if counted else ""
    return "no C: there is nothing to count"
