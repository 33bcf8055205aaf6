# SPDX-License-Identifier: GPL-2.0-only
"""One cell: a test under its loads in a fresh guest, and the verdict on it.

The store keeps the *observation*, not the verdict, which is reached anew each time: a position
whose kernel is bit for bit that of another (a patch of comments only) shares its observations and
still is judged by what is expected of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.cache.store import Store
from harness.guest import samples
from harness.guest.boot_examination import EVIDENCE as OF_DEATH
from harness.guest.guest import BY_HAND, MODULES, Guest
from harness.guest.qemu.argv import symbolic_argv
from harness.guest.qemu.process import qemu_version
from harness.guest.template import KEPT_OF_BOOT
from harness.host.files import digest_files, key_of
from harness.model.errors import GuestError, HarnessError
from harness.model.jsonio import from_json, to_json
from harness.model.results import CellResult, Ended, Observation, TestOutcome
from harness.model.values import (
    AccelName,
    Arch,
    Cell,
    GuestSpec,
    GuestTest,
    Kernel,
    Series,
    SplatKind,
    Verdict,
)
from harness.plan.loads import pressures
from harness.run import diagnose
from harness.run.artifacts import GuestArtifacts, guest_spec
from harness.run.cell_loads import CellLoad, under_loads
from harness.run.folder import RunFolder
from harness.run.guest_test import run_test
from harness.run.prepare import ResolvedPlan
from harness.run.symbolize import DebugSource, decode
from harness.verdict.judge import judge, judge_fault, missed_result, skipped_result, splats_of
from harness.verdict.phases import eventful, log_of
from harness.verdict.splat import unexpected

# Part of every observation's key: raise it when the way a guest is booted or driven changes,
# so that nothing seen by an older harness is reused.
CACHE_VERSION = "7"
OBSERVATIONS, OBSERVED = "observation", "observation.json"
BUILD_ERRORS = "build-errors.txt"  # why a test or load could not be built
AROUND = "around.log"  # what the kernel said before and after the test, where that matters
# Ends that say what the kernel did. A refused module, a silent guest or a lost link may be
# the fault of a test or the host: those cells run again next time.
KEPT_ENDS = (Ended.DONE, Ended.DIED, Ended.STUCK)
# Called around the test, with its guest.
Around = Callable[[Guest], contextlib.AbstractContextManager[object]]
# Gives a guest with its evidence in a folder, as Templates.guest does.
Guests = Callable[[GuestSpec, Path], contextlib.AbstractContextManager[Guest]]


@dataclass(frozen=True)
class CellJob:
    """All that a cell's verdict depends on."""

    cell: Cell
    test: GuestTest
    loads: tuple[CellLoad, ...]
    series: Series
    kernel: Kernel
    spec: GuestSpec
    module: Path  # the test's, built for the kernel
    qemu_version: str
    lacks: str = ""  # why its loads cannot run on this kernel, one line
    broken: tuple[HarnessError, ...] = ()  # why its test, or loads, could not be built for it
    debug: DebugSource | None = None  # None: splats are not decoded

    @property
    def key(self) -> str:
        """Content key of the observation: the same key means the same experiment."""
        described = [self.test.folder / "test.toml"]
        described += [each.load.folder / "load.toml" for each in self.loads]
        return key_of(
            CACHE_VERSION,
            self.spec.content,
            digest_files(self.module, *(each.program for each in self.loads)),
            *(str(each.pressure) for each in self.loads),
            self.qemu_version,
            *map(str, self.spec.disks_mib),
            str(self.cell.repeat),
            # Accelerator, RAM, CPUs and the kernel's command line, our own parameters included.
            *symbolic_argv(self.spec),
            *(hashlib.sha256(file.read_bytes()).hexdigest() for file in described),
        )

    @property
    def tolerated_splats(self) -> frozenset[SplatKind]:
        """Splats that are ordinary in this cell."""
        loads = (kind for each in self.loads for kind in each.load.tolerated_splats)
        return frozenset((*self.test.tolerated_splats, *loads))


def cell_job(
    ready: ResolvedPlan, arch: Arch, artifacts: GuestArtifacts, cell: Cell, accel: AccelName
) -> CellJob:
    """Describe the experiment that gives *cell* its verdict."""
    config = frozenset(artifacts.kernel.config.read_text(encoding="utf-8").splitlines())
    test = ready.test(cell.test).on(config)
    # The test's own disk comes first.
    disks_mib = [test.disk_mib] if test.disk_mib else []
    loads = []
    wanted = [ready.load(pressure.name) for pressure in pressures(cell.load)]
    folders = (test.folder, *(load.folder for load in wanted))
    for pressure, load in zip(pressures(cell.load), wanted, strict=True):
        if load.name not in artifacts.programs:
            continue
        number = len(disks_mib) if load.disk_mib else None
        loads.append(CellLoad(load, pressure, artifacts.programs[load.name], number))
        disks_mib += [load.disk_for(cell.ram_mib)] if load.disk_mib else []
    return CellJob(
        cell=cell,
        test=test,
        loads=tuple(loads),
        series=ready.series,
        kernel=artifacts.kernel,
        debug=artifacts.debug,
        spec=guest_spec(ready.plan, arch, artifacts, cell.ram_mib, accel, tuple(disks_mib)),
        module=artifacts.modules.get(cell.test, test.folder),
        qemu_version=qemu_version(arch),
        lacks="; ".join(filter(None, (ready.lacking(load, config) for load in wanted))),
        broken=tuple(artifacts.broken[f] for f in folders if f in artifacts.broken),
    )


# Runs a job's test, with its evidence in a folder.
Look = Callable[[CellJob, Path], Observation]


def run_cell(
    job: CellJob,
    run: RunFolder,
    store: Store,
    look: Look,
    *,
    fresh: bool = False,
) -> CellResult:
    """Return *job*'s verdict, by an earlier observation of the same experiment or a new one.

    *look* makes a new one, with its evidence in a folder. ``fresh`` asks for one whatever is known.
    """
    folder = run.cell(job.cell)
    if folder.exists():  # of an earlier run that was given the same folder: nobody's evidence
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    unfit = unfit_result(job, folder)
    kept = None if fresh or unfit else store.get(OBSERVATIONS, job.key)
    if unfit is not None:
        result = unfit
    elif kept is not None:
        _copy(kept, folder)
        text = (kept / OBSERVED).read_text(encoding="utf-8")
        result = judged(job, from_json(Observation, text))
    else:
        try:
            seen = look(job, folder)
        except GuestError as error:
            result = missed_result(job.cell, job.test, job.series.name, error.what)
        else:
            (folder / OBSERVED).write_text(to_json(seen, indent=None), encoding="utf-8")
            if seen.fault or (seen.outcome is not None and worth_keeping(seen.outcome)):
                store.put(OBSERVATIONS, job.key, lambda into: _copy(folder, into))
            result = judged(job, seen)
    result = replace(
        result,
        reused=kept is not None,
        qemu_version=job.qemu_version,
        evidence=_evidence(run, folder),
        commit=job.series.commit_at(job.cell.position),
    )
    run.save_result(result)
    return result


def unfit_result(job: CellJob, folder: Path) -> CellResult | None:
    """Return the verdict of a *job* that has nothing to run, None where it has.

    What the compiler said is kept in *folder*.
    """
    if job.lacks:
        return skipped_result(job.cell, job.lacks)
    if not job.broken:
        return None
    said = "\n\n".join(f"{error.what}\n{error.detail}".rstrip() for error in job.broken)
    (folder / BUILD_ERRORS).write_text(f"{said}\n", encoding="utf-8", errors="backslashreplace")
    reason = "; ".join(error.what for error in job.broken)
    missed = missed_result(job.cell, job.test, job.series.name, reason)
    return replace(missed, verdict=Verdict.ERROR)


def judged(job: CellJob, seen: Observation) -> CellResult:
    """Return the verdict that *seen* is worth."""
    about = (job.cell, job.test, job.series.name)
    if seen.outcome is not None:
        result = judge(*about, seen.outcome, job.tolerated_splats)
    else:
        missed = missed_result(*about, seen.note)
        result = judge_fault(*about, seen.fault) if seen.fault else missed
        result = replace(result, splats=splats_of(seen.boot_console))
    if job.debug is not None and result.splats:
        ordinary = job.tolerated_splats | job.test.tolerated_at(job.series.name, job.cell.position)
        mattering = unexpected(result.splats, ordinary)
        modules = (job.module, *(each.program for each in job.loads if each.load.module))
        decoded = dict(zip(mattering, decode(mattering, job.debug, *modules), strict=True))
        result = replace(result, splats=tuple(decoded.get(s, s) for s in result.splats))
    note = seen.note if seen.outcome is not None else ""
    reason = "; ".join(filter(None, (result.reason, note)))
    return replace(result, argv=seen.argv, seconds=seen.seconds, boot=seen.boot, reason=reason)


def observe(
    job: CellJob,
    folder: Path,
    guests: Guests,
    around: Around = contextlib.nullcontext,
) -> Observation:
    """Run *job*'s test in a fresh guest of *guests*, within *around*, and return what was seen.

    Raises:
        BootFailure: the kernel did not come up.
        GuestError, InfraError: it could not be run, for a reason of ours.
    """
    with guests(job.spec, folder) as guest:
        return _test(job, guest, folder, around)


def worth_keeping(outcome: TestOutcome) -> bool:
    """Whether *outcome* says what the kernel did, and would be the same another time."""
    ends = {outcome.ended, *(phase.ended for phase in outcome.phases)}
    if ends & {Ended.DIED, Ended.STUCK}:
        ends.discard(Ended.UNTRIED)  # for that reason
    return ends.issubset(KEPT_ENDS) and not outcome.load_broke and not outcome.all_lost


def _test(job: CellJob, guest: Guest, folder: Path, around: Around) -> Observation:
    note = ""
    with guest.phase_log.kept():
        with guest.phase_log.phase("before the test"):
            guest.put(f"{MODULES}/{job.test.module}.ko", job.module)
        with under_loads(guest, job.loads, folder, job.cell.repeat) as report:
            if report.untried or guest.phase_log.lost:
                outcome = TestOutcome(Ended.UNTRIED, (), reason=report.untried)
            else:
                with around(guest):
                    outcome = run_test(guest, job.test, report.runs)
                note = _fetch_artifacts(job, guest, folder)
        guest.phase_log.look()
    outcome = replace(
        outcome,
        load_ended=outcome.load_ended or report.load_ended,
        load_broke=report.broke,
        unsound=tuple(report.unsound),
        phases=guest.phase_log.phases(),
    )
    text = "\n".join(outcome.log) + "\n"
    (folder / "test.log").write_text(text, encoding="utf-8", errors="backslashreplace")
    if eventful(outcome.phases):
        text = "\n".join(log_of(outcome.phases)) + "\n"
        (folder / AROUND).write_text(text, encoding="utf-8", errors="backslashreplace")
    cold = f"no clone: {guest.why_cold}" if guest.why_cold else ""
    note = "; ".join(filter(None, (note, *report.notes, cold)))
    return Observation(outcome, argv=guest.argv, boot=guest.origin, note=note)


def _fetch_artifacts(job: CellJob, guest: Guest, folder: Path) -> str:
    """Fetch the test's artifacts over SSH; return one line about what could not be had."""
    if not job.test.artifacts or not guest.alive:
        return ""
    into = folder / "artifacts"
    into.mkdir(exist_ok=True)
    failure = ""
    with guest.phase_log.phase("while artifacts were fetched", after=True):
        try:
            with guest.ssh() as ssh:
                for path in job.test.artifacts:
                    (into / path.strip("/").replace("/", "_")).write_bytes(ssh.fetch(path))
        except GuestError as error:
            failure = f"artifacts: {error.what}"
            guest.hello()
    return failure


def _evidence(run: RunFolder, folder: Path) -> tuple[tuple[str, str], ...]:
    names = (
        *("console.log", "kmsg.log", "test.log", AROUND, samples.NAME, diagnose.NAME),
        *("loads.txt", "argv.txt", BY_HAND, "qemu.log", BUILD_ERRORS),
        *(copy for _, copy in KEPT_OF_BOOT),
        *OF_DEATH,
    )
    files = [folder / n for n in names if (folder / n).is_file()]
    files += sorted(folder.glob("fsck-*.txt"))
    artifacts = sorted((folder / "artifacts").glob("*"))
    return tuple((f.stem, run.relative(f)) for f in files) + tuple(
        (f"artifact {f.name}", run.relative(f)) for f in artifacts
    )


def _copy(source: Path, into: Path) -> None:
    """Link the files of *source* into *into*, or copy them where a link cannot be.

    Nothing writes into them again, and somebody who does is found out by the store.
    """
    shutil.copytree(source, into, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, into: str) -> None:
    try:
        os.link(source, into)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, into)
