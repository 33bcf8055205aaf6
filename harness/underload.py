# SPDX-License-Identifier: GPL-2.0-only
"""A guest under the loads of its cell, and what of them is evidence.

Before: file systems are made and mounted, counters read. Then the loads start one after the
other, until each shows what it claims. After: counters again, while the loads still run; all
stopped, unmounted, and the file systems checked.
"""

from __future__ import annotations

import contextlib
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.counters import Claim, claims, toothless
from harness.errors import GuestError
from harness.filesystem import check_filesystem, make_filesystem
from harness.loadrun import LoadRun, path_of
from harness.model import Load
from harness.pressure import Pressure
from harness.qemu.argv import disk_serial
from harness.record import Shown
from harness.session import Guest, scratch_disk

UNMOUNT_S = 60.0  # all that a storm has left unwritten
POLL_S = 0.2  # between two looks at the counters of a load that has not shown its purpose yet


@dataclass(frozen=True)
class Applied:
    """A load as one cell has it."""

    load: Load
    pressure: Pressure
    program: Path  # or module, built for the guest
    disk: int | None = None  # number of its scratch disk in the guest


@dataclass
class Traces:
    """What the loads left behind; complete once the guest is out from under them."""

    shown: tuple[Shown, ...] = ()
    unsound: tuple[str, ...] = ()  # broken file systems, and loads that nothing could end
    sound: list[str] = field(default_factory=list)  # those that it found in order
    notes: list[str] = field(default_factory=list)  # what could not be seen


@contextlib.contextmanager
def under_loads(
    guest: Guest, applied: Sequence[Applied], folder: Path, repeat: int = 0
) -> Iterator[Traces]:
    """Keep *guest*, whose folder is *folder*, under all of *applied* while inside.

    Leaves loads.txt there, with what was shown and said, and fsck-LOAD.txt.

    Raises:
        GuestError: a load is broken.
        InfraError: a file system cannot be made or checked on this host.
    """
    traces = Traces()
    if not applied:
        yield traces
        return
    wanted = tuple(claim for a in applied for claim in claims(a.load))
    devices = dict[str, str]()
    for a in applied:
        guest.put(path_of(a.load), a.program)
        devices[a.load.name] = _disk(guest, a)
        _mount(guest, a, devices[a.load.name], folder)
    before = _files(guest, wanted)
    runs: list[LoadRun] = []
    with contextlib.ExitStack() as stack:
        for a in applied:
            run = guest.load(a.load, _words(a, devices[a.load.name], repeat))
            runs.append(stack.enter_context(run))
            if not a.pressure.gradual:
                _await_purpose(guest, a.load, before)
        try:
            yield traces
        finally:
            traces.shown = _shown(guest, wanted, before, traces)
    ended = {run.load.name for run in runs}
    checked = (_check(guest, a, folder, traces) for a in applied if a.load.name in ended)
    traces.unsound = tuple(filter(None, (*(run.stuck for run in runs), *checked)))
    _write(folder, traces, runs)


def _words(a: Applied, device: str, repeat: int) -> tuple[str, ...]:
    words = a.pressure.words(a.load, repeat)
    if a.load.filesystem:
        words += (f"dir={_mount_point(a.load)}",)
    elif device:
        words += (f"disk={device}",)
    return words


def _mount_point(load: Load) -> str:
    return f"/tmp/{load.name}"


def _disk(guest: Guest, a: Applied) -> str:
    """Return the device of the load's disk, by its serial number; "" where it has none."""
    if a.disk is None:
        return ""
    for letter in string.ascii_lowercase[: guest.disks]:
        if guest.read(f"/sys/block/vd{letter}/serial").strip() == disk_serial(a.disk):
            return f"/dev/vd{letter}"
    raise GuestError(f"load {a.load.name}: the guest does not see its disk")


def _mount(guest: Guest, a: Applied, device: str, folder: Path) -> None:
    load = a.load
    if not load.filesystem or a.disk is None:
        return
    # The guest has looked at its disk for partitions, and kept nothing: nobody has it open.
    make_filesystem(load.filesystem, scratch_disk(folder, a.disk))
    where = _mount_point(load)
    for argv in (("/bin/mkdir", where), ("/bin/mount", "-t", load.filesystem, device, where)):
        done = guest.exec(argv)
        if not done.ok:
            raise GuestError(f"load {load.name}: {argv[0]} failed", detail="\n".join(done.lines))


def _files(guest: Guest, wanted: Sequence[Claim]) -> dict[str, str]:
    """Return the files of the guest that hold the counters; one that is not there is empty."""
    found = dict.fromkeys((claim.file for claim in wanted), "")
    for path in found:
        with contextlib.suppress(GuestError):
            if guest.alive:
                found[path] = guest.read(path)
    return found


def _await_purpose(guest: Guest, load: Load, before: dict[str, str]) -> None:
    """Wait until *load* shows what it is for; one that never does is told of afterwards."""
    wanted = claims(load)
    end = time.monotonic() + guest.speed.scale(load.ready_timeout_s)
    while guest.alive and time.monotonic() < end:
        now = _files(guest, wanted)
        if all(claim.shown(before, now).borne_out for claim in wanted):
            return
        time.sleep(POLL_S)


def _shown(
    guest: Guest, wanted: Sequence[Claim], before: dict[str, str], traces: Traces
) -> tuple[Shown, ...]:
    if not guest.alive:
        return ()
    after = _files(guest, wanted)
    if any(not text for text in after.values()):
        traces.notes.append("not all counters of the loads could be read")
    shown = tuple(claim.shown(before, after) for claim in wanted if after[claim.file])
    if said := toothless(shown):
        traces.notes.append(said)
    return shown


def _check(guest: Guest, a: Applied, folder: Path, traces: Traces) -> str:
    """Unmount and check the file system of a load; return what is wrong with it, or ""."""
    kind, name = a.load.filesystem, a.load.name
    if not kind or a.disk is None:
        return ""
    try:
        done = guest.exec(("/bin/umount", _mount_point(a.load)), UNMOUNT_S) if guest.alive else None
    except GuestError:
        done = None
    if done is None or not done.ok:
        traces.notes.append(f"the {kind} of load {name} was not checked: it is still mounted")
        return ""
    found = check_filesystem(kind, scratch_disk(folder, a.disk), lambda: guest.alive)
    said = folder / f"fsck-{name}.txt"
    said.write_text(found.said, encoding="utf-8", errors="backslashreplace")
    if found.sound is None:
        raise GuestError(f"the {kind} of load {name} was not checked: {found.why}")
    if not found.sound:
        return f"the {kind} of load {name} is broken: see fsck-{name}.txt"
    traces.sound.append(f"{name}: its {kind} is sound, says its own check")
    return ""


def _write(folder: Path, traces: Traces, runs: Sequence[LoadRun]) -> None:
    lines = [
        f"{s.load}: {s.counter} {s.want}: {s.before} before, {s.after} under it: "
        f"{'shown' if s.borne_out else 'NOT SHOWN'}"
        for s in traces.shown
    ]
    lines += [f"{run.load.name}: {line}" for run in runs for line in run.said[-50:]]
    lines += [*traces.sound, *traces.unsound]
    text = "".join(f"{line}\n" for line in lines)
    (folder / "loads.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
