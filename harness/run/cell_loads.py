# SPDX-License-Identifier: GPL-2.0-only
"""The loads of a cell in its guest, and their evidence.

Before: file systems are made and mounted, counters read. Then the loads start one after the
other, until each shows what it claims. After: counters again, while the loads still run; all
stopped, unmounted, and the file systems checked.
"""

from __future__ import annotations

import contextlib
import re
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.guest.guest import COMMAND_S, Executed, Guest, scratch_disk
from harness.guest.phase_log import StuckInKernel
from harness.guest.qemu.argv import disk_serial
from harness.guest.transport.agent import NoAnswer
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Shown
from harness.model.values import Load
from harness.plan.loads import Pressure
from harness.run.load import LoadRun, path_of
from harness.run.load_counters import Claim, claims, toothless
from harness.run.scratch_fs import check_filesystem, make_filesystem

UNMOUNT_S = 60.0  # all that a storm has left unwritten
LINGER_S = 3.0  # for whoever has a file of it open to be gone
BUSY_S = 30.0  # the same where the load did not end as it should, and left some behind
REFILL_S = 5.0  # for a load whose worker was killed to have again what it had
POLL_S = 0.2  # between two looks at the counters of a load that has not shown its purpose yet
_BUSY = re.compile("resource busy", re.I)  # says umount: somebody has a file of it open


@dataclass(frozen=True)
class CellLoad:
    """A load as one cell has it."""

    load: Load
    pressure: Pressure
    program: Path  # or module, built for the guest
    disk: int | None = None  # number of its scratch disk in the guest


@dataclass
class LoadReport:
    """The evidence of a cell's loads; complete when all of them are stopped."""

    untried: str = ""  # why the test cannot be run under them
    shown: tuple[Shown, ...] = ()
    load_ended: str = ""  # loads that ended by themselves
    broke: tuple[str, ...] = ()  # loads that did not end well once told to
    unsound: list[str] = field(default_factory=list)  # broken file systems
    sound: list[str] = field(default_factory=list)  # those that it found in order
    notes: list[str] = field(default_factory=list)  # what could not be seen
    runs: list[LoadRun] = field(default_factory=list)  # of loads that were started


@contextlib.contextmanager
def under_loads(
    guest: Guest, loads: Sequence[CellLoad], folder: Path, repeat: int = 0
) -> Iterator[LoadReport]:
    """Run all of *loads* in *guest*, whose folder is *folder*, while inside.

    Where that cannot be had, ``untried`` of what is given says why, or the guest is lost: nothing
    is raised, for the file systems are looked at in any case. Leaves loads.txt there, with what
    was shown and said, and fsck-LOAD.txt.

    Raises:
        InfraError: a file system cannot be made or checked on this host.
    """
    report = LoadReport()
    if not loads:
        yield report
        return
    wanted = tuple(claim for one in loads for claim in claims(one.load))
    mounted: list[CellLoad] = []
    before: dict[str, str] = {}
    try:
        with contextlib.ExitStack() as stack:
            try:
                words = {
                    one.load.name: _prepare(guest, one, folder, mounted, repeat) for one in loads
                }
                if guest.alive:
                    with guest.phase_log.phase("before the loads"):
                        before = _files(guest, wanted)
                for one in loads:
                    _start(guest, one, words[one.load.name], before, stack, report.runs)
            except GuestError as error:
                report.untried = error.what
            try:
                yield report
            finally:
                report.shown = _shown(guest, wanted, before, report)
        report.load_ended = "; ".join(run.ended for run in report.runs if run.ended)
        report.broke = tuple(run.broke for run in report.runs if run.broke)
        ran = {run.load.name: run for run in report.runs}
        for one in mounted:
            _check(guest, one, folder, report, ran.get(one.load.name))
        if guest.alive:
            with guest.phase_log.phase("after the loads", after=True):
                guest.phase_log.drain()
    finally:
        _write(folder, report)


def _words(one: CellLoad, device: str, repeat: int) -> tuple[str, ...]:
    words = one.pressure.words(one.load, repeat)
    if one.load.filesystem:
        words += (f"dir={_mount_point(one.load)}",)
    elif device:
        words += (f"disk={device}",)
    return words


def _mount_point(load: Load) -> str:
    return f"/tmp/{load.name}"


def _disk(guest: Guest, one: CellLoad) -> str:
    """Return the device of the load's disk, by its serial number; "" where it has none."""
    if one.disk is None:
        return ""
    for letter in string.ascii_lowercase[: guest.disks]:
        if guest.read(f"/sys/block/vd{letter}/serial").strip() == disk_serial(one.disk):
            return f"/dev/vd{letter}"
    raise GuestError(f"load {one.load.name}: the guest does not see its disk")


def _prepare(
    guest: Guest, one: CellLoad, folder: Path, mounted: list[CellLoad], repeat: int
) -> tuple[str, ...]:
    """Bring a load and what it works on into the guest; return what it is told."""
    device = ""
    if guest.alive:
        with guest.phase_log.phase(f"while load {one.load.name} was prepared"):
            guest.put(path_of(one.load), one.program)
            device = _disk(guest, one)
            if one.load.filesystem and one.disk is not None:
                _mount(guest, one, device, folder)
                mounted.append(one)
    return _words(one, device, repeat)


def _start(
    guest: Guest,
    one: CellLoad,
    words: Sequence[str],
    before: dict[str, str],
    stack: contextlib.ExitStack,
    runs: list[LoadRun],
) -> None:
    if guest.alive:
        runs.append(LoadRun(guest, one.load))
        stack.enter_context(runs[-1].kept_up(words))
    if guest.alive and not one.pressure.gradual:
        with guest.phase_log.phase(f"while load {one.load.name} came on"):
            _await_purpose(guest, one.load, before)


def _mount(guest: Guest, one: CellLoad, device: str, folder: Path) -> None:
    kind, name, where = one.load.filesystem, one.load.name, _mount_point(one.load)
    # The guest has the disk not open: it has looked for partitions, and found none.
    make_filesystem(kind, scratch_disk(folder, one.disk or 0))
    for argv in (("/bin/mkdir", where), ("/bin/mount", "-t", kind, device, where)):
        done = _exec(guest, argv, COMMAND_S)
        if not done.ok:
            what = f"load {name}: {argv[0]} failed"
            raise GuestError(what, detail="\n".join(done.lines))


def _exec(guest: Guest, argv: Sequence[str], timeout_s: float) -> Executed:
    """Run a program that does nothing but ask the kernel for something."""
    try:
        return guest.exec(argv, timeout_s)
    except NoAnswer as error:
        if error.how is not Wait.LATE:
            raise
        seconds = guest.speed.scale(timeout_s)
        what = f"'{' '.join(argv)}' is stuck in the kernel: it did not end within {seconds:.0f} s"
        raise StuckInKernel(what) from None


def _files(guest: Guest, wanted: Sequence[Claim]) -> dict[str, str]:
    """Return the files of the guest that hold the counters; one that is not there is empty.

    Raises:
        NoAnswer: the guest died, or hangs.
    """
    found = dict.fromkeys((claim.file for claim in wanted), "")
    for path in found:
        try:
            found[path] = guest.read(path)
        except NoAnswer:
            guest.hello()
        except GuestError:
            continue
    return found


def _await_purpose(guest: Guest, load: Load, before: dict[str, str]) -> None:
    """Wait until *load* shows what it is for; one that never does is told of afterwards."""
    wanted = claims(load)
    end = Deadline(guest.speed.scale(load.ready_timeout_s))
    while not end.passed:
        now = _files(guest, wanted)
        if all(claim.shown(before, now).borne_out for claim in wanted):
            return
        time.sleep(POLL_S)


def _shown(
    guest: Guest, wanted: Sequence[Claim], before: dict[str, str], report: LoadReport
) -> tuple[Shown, ...]:
    if report.untried or not guest.alive:
        return ()
    shown: tuple[Shown, ...] = ()
    with guest.phase_log.phase("after the test", after=True):
        after = _files(guest, wanted)
        if any(not text for text in after.values()):
            report.notes.append("not all counters of the loads could be read")
        there = tuple(claim for claim in wanted if after[claim.file])
        shown = tuple(claim.shown(before, after) for claim in there)
        end = Deadline(guest.speed.scale(REFILL_S))
        while not end.passed and any(
            c.level and not s.borne_out for c, s in zip(there, shown, strict=True)
        ):
            time.sleep(POLL_S)
            after = _files(guest, there)
            again = (claim.shown(before, after) for claim in there)
            shown = tuple(s if s.borne_out else new for s, new in zip(shown, again, strict=True))
        if said := toothless(shown):
            report.notes.append(said)
    return shown


def _unmount(guest: Guest, one: CellLoad, run: LoadRun | None) -> None:
    """Unmount the file system of a load, whose *run* is over if it had one.

    Raises:
        NoAnswer: the guest died, or hangs.
        StuckInKernel: it does not come to an end, or what was killed does not.
        GuestError: it cannot be unmounted, for a reason of ours.
    """
    kind, name = one.load.filesystem, one.load.name
    end = Deadline(guest.speed.scale(LINGER_S if run is None or run.well else BUSY_S))
    while True:
        done = _exec(guest, ("/bin/umount", _mount_point(one.load)), UNMOUNT_S)
        if done.ok:
            return
        said = " ".join(done.lines)
        busy = bool(_BUSY.search(said))
        if not busy or end.passed:
            break
        time.sleep(POLL_S)
    if busy and run is not None and run.killed:
        raise StuckInKernel(
            f"what was killed of load {name} is stuck in the kernel: its {kind} is busy"
        )
    raise GuestError(f"the {kind} of load {name} cannot be unmounted: {said}")


def _check(
    guest: Guest, one: CellLoad, folder: Path, report: LoadReport, run: LoadRun | None
) -> None:
    """Unmount and check the file system of a load."""
    kind, name = one.load.filesystem, one.load.name
    gone = False
    if guest.alive:
        with guest.phase_log.phase(f"while the {kind} of load {name} was unmounted", after=True):
            _unmount(guest, one, run)
            gone = True
    if not gone:
        report.notes.append(f"the {kind} of load {name} was not checked: it is still mounted")
        return
    found = check_filesystem(kind, scratch_disk(folder, one.disk or 0), lambda: guest.alive)
    said = folder / f"fsck-{name}.txt"
    said.write_text(found.said, encoding="utf-8", errors="backslashreplace")
    if found.sound is None:
        guest.phase_log.miss(f"the {kind} of load {name} was not checked: {found.why}")
    elif found.sound:
        report.sound.append(f"{name}: its {kind} is sound, says its own check")
    else:
        report.unsound.append(f"the {kind} of load {name} is broken: see fsck-{name}.txt")


def _write(folder: Path, report: LoadReport) -> None:
    lines = [
        f"{s.load}: {s.counter} {s.want}: {s.before} before, {s.after} under it: "
        f"{'shown' if s.borne_out else 'NOT SHOWN'}"
        for s in report.shown
    ]
    lines += [f"{run.load.name}: {line}" for run in report.runs for line in run.said[-50:]]
    lines += [*report.sound, *report.unsound]
    text = "".join(f"{line}\n" for line in lines)
    (folder / "loads.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
