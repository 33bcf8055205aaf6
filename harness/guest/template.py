# SPDX-License-Identifier: GPL-2.0-only
"""Templates: guests saved when ready, of which a clone starts in a tenth of a second.

A template is a guest whose RAM is a file and whose devices' state is another. A clone maps the
RAM privately, so that what it writes is its own and the template stays as it is, whatever becomes
of the clone; it takes the devices' state in, and goes on where the template was left.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.cache.store import Store
from harness.guest import kmemleak
from harness.guest.boot_examination import examine, write_evidence
from harness.guest.capacity import Capacity
from harness.guest.guest import BootFailure, Guest, boot, scratch_disks, write_by_hand
from harness.guest.machine import Machine
from harness.guest.qemu.argv import clone_argv, symbolic_argv
from harness.guest.qemu.process import qemu_version
from harness.guest.transport.protocol import Ready
from harness.host import process
from harness.host.deadline import Deadline, host_speed
from harness.host.files import key_of
from harness.model.errors import GuestError
from harness.model.events import Note, Report
from harness.model.jsonio import from_json, to_json
from harness.model.results import Death
from harness.model.values import GuestSpec

KIND = "template"
# Raise it when a template made from the same inputs would be another one.
CACHE_VERSION = "1"
RAM, STATE, READY = "ram", "state", "ready.json"
SAVE_S = 30.0  # to write the devices' state; takes some 10 ms
# Files of a template that a clone's folder gets: the log and the command of its boot.
KEPT_OF_BOOT = (("console.log", "boot-console.log"), ("argv.txt", "boot-argv.txt"))


@dataclass(frozen=True)
class Template:
    """A guest as it was left, in a folder of the store."""

    folder: Path
    spec: GuestSpec
    ready: Ready

    @property
    def ram(self) -> Path:
        return self.folder / RAM

    @property
    def state(self) -> Path:
        return self.folder / STATE


def template_key(spec: GuestSpec) -> str:
    """Return the content key of *spec*'s template: all that decides what a clone finds.

    Raises:
        InfraError: the emulator is not installed.
    """
    argv = symbolic_argv(spec, ram=Path(RAM))
    host_cpu = _host_cpu() if spec.accel == "kvm" else ""
    return key_of(CACHE_VERSION, spec.content, qemu_version(spec.arch), host_cpu, *argv)


def make_template(spec: GuestSpec, store: Store, deadline: Deadline | None = None) -> Template:
    """Return the template of *spec*, from the store where it has it.

    The guest has until *deadline* to become ready; else as long as one that is booted.

    Raises:
        BootFailure: the kernel did not get as far as ready.
        GuestError: QEMU failed, or cannot save this guest.
        InfraError: no emulator, or no space.
    """
    key = template_key(spec)
    folder = store.get(KIND, key)
    if folder is None:
        with store.lock(f"template-{key[:16]}"):
            folder = store.get(KIND, key) or store.put(KIND, key, partial(_save, spec, deadline))
    return Template(folder, spec, from_json(Ready, (folder / READY).read_text()))


@contextlib.contextmanager
def clone(template: Template, folder: Path) -> Iterator[Guest]:
    """Give a fresh copy of *template*'s guest; it is gone on exit, whatever happens.

    Leaves in *folder*, which is made if need be, what ``boot`` does, and the console log and
    command of the template's boot.

    Raises:
        GuestError: QEMU failed, or the copy does not answer.
        InfraError: QEMU is not installed, or cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_by_hand(template.spec, folder)
    for name, copy in KEPT_OF_BOOT:
        shutil.copyfile(template.folder / name, folder / copy)
    with scratch_disks(template.spec, folder) as disks:
        command = partial(clone_argv, template.spec, disks=disks, ram=template.ram)
        with Machine(command, folder, state=template.state) as machine:
            guest = Guest(machine, template.spec, template.ready, "clone")
            try:
                guest.wake()
            except GuestError as error:
                machine.settle()
                raise machine.failure() or error from None
            yield guest


class Templates:
    """The source of a run's guests; shared by its workers."""

    def __init__(self, store: Store, capacity: Capacity, report: Report = lambda _: None) -> None:
        self._store = store
        self._capacity = capacity
        self._report = report
        self._lock = threading.Lock()
        self._made: dict[GuestSpec, Template] = {}
        self._impossible: dict[GuestSpec, str] = {}  # and why
        self._dead: dict[GuestSpec, BootFailure] = {}  # with what the examination showed
        self._making: dict[GuestSpec, threading.Lock] = {}

    def make(self, spec: GuestSpec, boot_s: float) -> None:
        """Boot *spec* and leave its template in the store, where it has none.

        The guest has *boot_s* seconds of a host of reference speed to become ready.

        Raises:
            BootFailure, GuestError, InfraError: as :func:`make_template`.
            Interrupted: guests are to end.
        """
        with _interruptible(), self._capacity.place(spec):
            make_template(spec, self._store, Deadline(host_speed().scale(boot_s)))

    def warm(self, spec: GuestSpec) -> None:
        """Make *spec*'s template now, so that it is there when the first clone is wanted."""
        self._template(spec)

    @contextlib.contextmanager
    def guest(self, spec: GuestSpec, folder: Path) -> Iterator[Guest]:
        """Give a fresh guest of *spec*: a clone, or a booted one where it cannot be cloned.

        The guest says which it is (``origin``), and why (``why_cold``).

        Raises:
            BootFailure: the kernel did not get as far as ready, and was examined
                (:func:`harness.guest.boot_examination.examine`). It is the same one for all guests
                of *spec*, and comes at once, where their template's boot died in the same way
                twice, or panicked. The evidence is in *folder*.
            GuestError, InfraError: as :func:`harness.guest.guest.boot`.
            Interrupted: guests are to end; how this one did says nothing of its kernel.
        """
        with _interruptible(), contextlib.ExitStack() as stack:
            took = stack.enter_context(self._capacity.place(spec))
            guest = self._clone(spec, folder, stack)
            if guest is None:
                guest = stack.enter_context(self._booted(spec, folder))
                kmemleak.forget(guest)
                guest.why_cold = self._impossible.get(spec, "")
            yield guest
            took(guest.footprint_mib())

    def _clone(self, spec: GuestSpec, folder: Path, stack: contextlib.ExitStack) -> Guest | None:
        template = self._template(spec)
        if template is None:
            return None
        try:
            return stack.enter_context(clone(template, folder))
        except GuestError as error:
            self._give_up(spec, error.what)
            return None

    @contextlib.contextmanager
    def _booted(self, spec: GuestSpec, folder: Path) -> Iterator[Guest]:
        """Boot *spec*, unless it is known to be dead."""
        dead = self._dead.get(spec)
        if dead is not None:
            write_evidence(dead.death, folder)
            raise dead
        with contextlib.ExitStack() as stack:
            try:
                guest = stack.enter_context(boot(spec, folder))
            except BootFailure as failure:
                raise BootFailure(examine(spec, failure.death, folder)) from None
            yield guest

    def _template(self, spec: GuestSpec) -> Template | None:
        if not spec.content:
            return None
        with self._lock:
            making = self._making.setdefault(spec, threading.Lock())
        # One at a time: a kernel that does not boot takes as long for each who tries.
        with making:
            if spec in self._impossible or spec in self._dead:
                return None
            if spec in self._made:
                return self._made[spec]
            return self._new_template(spec)

    def _new_template(self, spec: GuestSpec) -> Template | None:
        try:
            template = self._made[spec] = make_template(spec, self._store)
            return template
        except BootFailure as failure:
            process.raise_if_stopping()
            death = examine(spec, failure.death)
            # A panic counts though it came once: to go on with another boot would hide it.
            if not death.again and death.kind is not Death.PANIC:
                self._give_up(spec, failure.reason)
                return None
            self._dead[spec] = BootFailure(death)
            self._report(Note(f"{_named(spec)}: {self._dead[spec]}", "warning"))
        except GuestError as error:
            self._give_up(spec, error.what)
        return None

    def _give_up(self, spec: GuestSpec, why: str) -> None:
        process.raise_if_stopping()
        with self._lock:
            first = spec not in self._impossible
            self._impossible[spec] = why
        if first:
            told = f"{_named(spec)}: guests are booted one by one: {why}"
            self._report(Note(told, "warning"))


def _named(spec: GuestSpec) -> str:
    return f"{spec.arch.name}, {spec.ram_mib} MiB"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise Interrupted where guests are to end, whatever became of those inside."""
    try:
        process.raise_if_stopping()
        yield
    except (BootFailure, GuestError):
        process.raise_if_stopping()
        raise
    process.raise_if_stopping()


def _save(spec: GuestSpec, deadline: Deadline | None, into: Path) -> None:
    """Boot *spec* and leave it in *into* as it is when ready."""
    with boot(spec, into, deadline=deadline, ram=into / RAM) as guest:
        kmemleak.forget(guest)
        guest.hello()  # all that it had to say is said: a clone starts with a silent guest
        with (into / STATE).open("wb") as file:
            guest.monitor.save_state(file, Deadline(host_speed().scale(SAVE_S)))
        (into / READY).write_text(to_json(guest.ready))


def _host_cpu() -> str:
    """Return what tells this host's CPU from another: KVM hands it to the guest."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = ("model name", "flags", "Features", "CPU part")
    return "\n".join((platform.machine(), *sorted({ln for ln in lines if ln.startswith(told)})))
