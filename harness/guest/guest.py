# SPDX-License-Identifier: GPL-2.0-only
"""A booted guest: its files, programs and SSH, from its first sign of life to its end.

::

    with boot(spec, folder) as guest:
        print(guest.read("/proc/meminfo"))
        with guest.ssh() as ssh:
            print(ssh.run("uname -r").stdout)
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.guest.boot_ready import await_ready
from harness.guest.machine import Machine
from harness.guest.phase_log import PhaseLog, loss
from harness.guest.qemu.argv import SSH_PORT, by_hand_script, disk_serial, qemu_argv
from harness.guest.qemu.process import find_emulator
from harness.guest.transport.agent import ANSWER_S, Agent, NoAnswer
from harness.guest.transport.console import Console
from harness.guest.transport.protocol import Ready, lines_of
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline, host_speed, speed_of
from harness.model.errors import GuestError
from harness.model.events import Report, Stage
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec, Speed

if TYPE_CHECKING:
    from harness.guest.qemu.qmp import Monitor
    from harness.guest.transport.ssh import ClientKey, Ssh

READY_S = 60.0  # from launch to ready; a guest of reference speed takes one to two seconds
CONSOLE_S = 5.0  # for what the guest has printed already
COMMAND_S = 30.0  # for a program that a load or a person runs
SSH_S = 30.0  # to a session: a key is made and two are checked, under emulation
LINK_S = 2.0  # from a broken connection to the news of why it broke
POWER_OFF_S = 5.0  # from the request to QEMU's end; a guest of reference speed takes 0.02 s
MODULES = "/harness/modules"  # where modules lie in a guest
BY_HAND = "argv-by-hand.txt"
SCRATCH = "{}.img"  # a scratch disk in a guest's folder, by its serial number
Origin = Literal["cold", "clone"]


class BootFailure(Exception):
    """The kernel under test did not get ready: its own fault, so no HarnessError.

    ``death`` says how, in words and with evidence.
    """

    def __init__(self, death: BootDeath) -> None:
        last = ""
        if death.kind is Death.SILENT:
            last = f"; its console's last line: {death.console[-1]}" if death.console else ""
            last = last or "; its console stayed empty"
        super().__init__(f"the kernel does not boot: {death.what}{last}")
        self.death = death

    @property
    def reason(self) -> str:
        """How it died, in one line."""
        return str(self)

    @property
    def kind(self) -> str:
        """How it died, in a word."""
        return self.death.kind.value

    @property
    def console(self) -> tuple[str, ...]:
        """The console's lines."""
        return self.death.console


@dataclass(frozen=True)
class Executed:
    """A program that ran in the guest: the lines it printed, and how it ended."""

    lines: tuple[str, ...]  # stdout and stderr, as they came
    how: str  # "exit", "signal", "errno" (it could not be run)
    number: int

    @property
    def ok(self) -> bool:
        return self.how == "exit" and self.number == 0


class Guest:
    """A guest that is ready, made by :func:`boot` or :func:`harness.guest.template.clone`."""

    def __init__(
        self, machine: Machine, spec: GuestSpec, ready: Ready, origin: Origin = "cold"
    ) -> None:
        self.ready = ready
        self.origin = origin
        self.why_cold = ""  # why it is no clone, where it should have been one
        # The guest's speed was measured at its boot (a clone's: its template's), the host's today.
        self.speed = Speed(speed_of(ready.spin_us).factor * host_speed().factor)
        self.machine = machine
        self.spec = spec
        self.agent: Agent = machine.agent
        self._client_key: ClientKey | None = None
        self._host_key = ""
        self._ssh_port = 0
        self.phase_log = PhaseLog(machine, self.deadline)
        self.find_module = _no_module  # what :meth:`load_module` finds a module by its name with
        self.loaded: list[Path] = []  # files of modules that it was given
        self.loading = ""  # the one of them that has not come to its end
        self.told_off = False  # to power off, by :meth:`power_off`

    # ------------------------------------------------------------ what it is

    @property
    def argv(self) -> tuple[str, ...]:
        """The emulator's command line."""
        return self.machine.argv

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        return self.machine.pid

    def footprint_mib(self) -> int:
        """Return the host's memory that is this guest's alone, in MiB; 0 once it is gone."""
        return self.machine.private_kib() // 1024

    @property
    def monitor(self) -> Monitor:
        """QMP."""
        return self.machine.monitor

    @property
    def console(self) -> Console:
        """The serial console."""
        return self.machine.console

    @property
    def disks(self) -> int:
        """The number of scratch disks."""
        return len(self.spec.disks_mib)

    @property
    def alive(self) -> bool:
        """Whether the guest can run something more: it lives, and no test hangs in it."""
        vitals = self.machine.vitals
        return not (vitals.gone or vitals.panic or self.agent.closed or self.phase_log.lost)

    # ------------------------------------------------------------ what it does

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline of *seconds* of a guest of reference speed."""
        return Deadline(self.speed.scale(seconds))

    def exec(self, argv: Sequence[str], timeout_s: float = COMMAND_S) -> Executed:
        """Run a program by its path and wait for its end; *timeout_s* is scaled by the speed.

        Raises:
            GuestError: the guest did not answer, or refused.
        """
        with self._asking():
            done = self.agent.run("exec", *argv, deadline=self.deadline(timeout_s))
        if done.end is None:
            why = done.answer.text if done.answer else "no end"
            raise GuestError(f"the guest did not run {argv[0]}: {why}")
        return Executed(tuple(done.outs), done.end.how, done.end.number)

    def read(self, path: str) -> str:
        """Return the text of a small file in the guest, as in /proc and /sys.

        Raises:
            GuestError: the guest did not answer, or cannot read it.
        """
        with self._asking():
            done = self.agent.run("read", path, deadline=self.deadline(ANSWER_S))
        if done.end is None or not done.end.well:
            why = done.answer.text if done.answer else str(done.end)
            raise GuestError(f"the guest cannot read {path}: {why}")
        return "".join(f"{line}\n" for line in done.outs)

    def write(self, path: str, value: str) -> None:
        """Write *value* into a file of the guest that exists, as in /proc and /sys.

        Raises:
            GuestError: the guest did not answer, or cannot write it.
        """
        with self._asking():
            answer = self.agent.call("write", path, value, deadline=self.deadline(ANSWER_S))
        if not answer.ok:
            raise GuestError(f"the guest cannot write {path}: {answer.text}")

    def ssh(self) -> Ssh:
        """Return a new SSH connection, logged in as root; the first starts the server.

        Raises:
            GuestError: the guest has no network or no server, or does not answer.
        """
        # Imported at first use: it takes half a second, and few guests need SSH.
        from harness.guest.transport.ssh import ClientKey, Ssh

        deadline = self.deadline(SSH_S)
        if self._client_key is None:
            self._put_ssh_server()
            key = ClientKey()
            with self._asking():
                answer = self.agent.call("sshd", key.authorized_key, deadline=deadline)
            if not answer.ok or not answer.keys or "hostkey" not in answer.keys:
                raise GuestError(f"the guest has no SSH server: {answer.text or 'no host key'}")
            self._host_key = answer.keys["hostkey"]
            with self._asking():
                self._ssh_port = self.monitor.forwarded_port(SSH_PORT, deadline)
            self._client_key = key
        return Ssh(
            *(self._ssh_port, self._client_key, self._host_key, deadline), blame=self._of_link
        )

    def _put_ssh_server(self) -> None:
        server = self.spec.ssh
        for file in sorted(server.rglob("*")) if server else ():
            if server and file.is_file():
                self.put(f"/{file.relative_to(server)}", file)

    def put(self, path: str, file: Path) -> None:
        """Copy the host's *file*, with its exec bit, to *path*, whose folder the guest has.

        Raises:
            GuestError: the guest did not answer, or cannot write it.
        """
        with self._asking():
            answer = self.agent.put(path, file, deadline=self.deadline(COMMAND_S))
        if not answer.ok:
            raise GuestError(f"the guest cannot take {path}: {answer.text}")

    def load_module(
        self, module: str | Path, *params: str, timeout_s: float = COMMAND_S
    ) -> tuple[str, ...]:
        """Load a module and return what the kernel printed meanwhile, line by line.

        *module* is a file of the host, or the name of a guest test, whose suite runs while it is
        loaded. *params* are its parameters, as "sizes=1,2"; *timeout_s* is scaled by the speed.

        Raises:
            GuestError: the guest did not answer, or its kernel refused the module.
            HarnessError: there is no such module, or it does not build.
        """
        file = self.find_module(module) if isinstance(module, str) else module
        path = f"{MODULES}/{file.name}"
        self.put(path, file)
        self.loaded.append(file)
        with self._asking(), self.agent.recording() as recording:
            limit = self.deadline(ANSWER_S)
            begin = self.agent.mark(f"harness: module {file.stem} goes in", recording, limit)
            self.loading = file.stem
            done = self.agent.run("insmod", path, *params, deadline=self.deadline(timeout_s))
            self.loading = ""
            limit = self.deadline(ANSWER_S)
            end = self.agent.mark(f"harness: module {file.stem} is in", recording, limit)
        if done.end is None or not done.end.well:
            why = done.end or (done.answer and done.answer.text)
            raise GuestError(f"the guest does not take module {file.stem}: {why}")
        first = 0 if begin is None else begin + 1
        return tuple(line for one in recording.records[first:end] for line in lines_of(one.text))

    def unload_module(self, name: str) -> None:
        """Unload the module called *name*, as the kernel or its file calls it.

        Raises:
            GuestError: the guest did not answer, or the module cannot be unloaded.
        """
        with self._asking():
            known = name.replace("-", "_")
            answer = self.agent.call("rmmod", known, deadline=self.deadline(COMMAND_S))
        if not answer.ok:
            raise GuestError(f"the guest cannot unload module {name}: {answer.text}")

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Say of a guest that is gone how it went, whatever the request inside has met."""
        try:
            yield
        except GuestError as error:
            raise loss(self.machine, error) from None

    def _of_link(self, error: GuestError) -> GuestError:
        """The same of a connection that broke, which is seen before its reason is."""
        vitals = self.machine.vitals
        vitals.wait(lambda: bool(vitals.panic), Deadline(LINK_S))
        return loss(self.machine, error)

    def hello(self) -> None:
        """Ask for a sign of life, and wait for it.

        Raises:
            GuestError: none came.
        """
        with self._asking():
            self.agent.call("hello", deadline=self.deadline(ANSWER_S))

    def wake(self) -> None:
        """Set the guest's clock, and seed its random generator with 32 bytes of the host's.

        A clone has the clock and the generator of its template. An idle guest gathers so little
        randomness that a request for a key waits for seconds.

        Raises:
            GuestError: the guest did not answer, or refused.
        """
        now_us = time.time_ns() // 1000
        words = (os.urandom(32).hex(), str(now_us))
        answer = self.agent.call("wake", *words, deadline=self.deadline(ANSWER_S))
        if not answer.ok:
            raise GuestError(f"the guest takes neither time nor seed: {answer.text}")

    def power_off(self) -> bool:
        """Ask the guest to power off; return whether it did, within a short time.

        One that hangs, or is gone, is left to its owner, who ends the emulator.
        """
        self.told_off = True
        deadline = self.deadline(POWER_OFF_S)
        with contextlib.suppress(GuestError):
            self.agent.call("poweroff", deadline=deadline)
        return self.machine.wait_end(deadline) is Wait.MET


def _no_module(name: str) -> Path:
    raise GuestError(f"no module is known as '{name}' here", hint="give the path of its file")


@contextlib.contextmanager
def boot(
    spec: GuestSpec,
    folder: Path,
    report: Report = lambda _: None,
    deadline: Deadline | None = None,
    *,
    ram: Path | None = None,
) -> Iterator[Guest]:
    """Boot *spec* and give the guest once it is ready; it is gone on exit, whatever happens.

    Leaves console.log, kmsg.log, argv.txt, argv-by-hand.txt and qemu.log in *folder*, which is
    made if need be. Without *deadline*, a guest has 60 s to become ready, more on a busy host.
    With *ram*, that file is the guest's memory and stays.

    Raises:
        BootFailure: the kernel panicked, reset, stood still or ran in one place for ever.
        GuestError: QEMU failed.
        InfraError: QEMU is not installed, or cannot be started.
    """
    find_emulator(spec.arch.qemu, spec.arch.qemu_package)
    folder.mkdir(parents=True, exist_ok=True)
    write_by_hand(spec, folder)
    stage = Stage(f"boot {folder}", f"booting {spec.arch.name}, {spec.ram_mib} MiB")
    report(stage)
    with scratch_disks(spec, folder) as disks:
        command = partial(qemu_argv, spec, disks=disks, ram=ram)
        with Machine(command, folder) as machine:
            ready = await_ready(machine, spec, deadline or Deadline(host_speed().scale(READY_S)))
            if isinstance(ready, BootDeath):
                raise BootFailure(ready)
            guest = Guest(machine, spec, ready)
            # A guest that died just now says so at the next request.
            with contextlib.suppress(NoAnswer):
                guest.wake()
            report(Stage(stage.key, f"{spec.arch.name} is ready", finished=True))
            yield guest


def write_by_hand(spec: GuestSpec, folder: Path) -> None:
    """Write into *folder* how a person boots *spec*: the command of a run has inherited files."""
    (folder / BY_HAND).write_text(by_hand_script(spec), encoding="utf-8")


@contextlib.contextmanager
def scratch_disks(spec: GuestSpec, folder: Path) -> Iterator[tuple[Path, ...]]:
    """Give the files of *spec*'s scratch disks, empty."""
    disks = tuple(scratch_disk(folder, number) for number in range(len(spec.disks_mib)))
    try:
        for disk, mib in zip(disks, spec.disks_mib, strict=True):
            with disk.open("wb") as file:
                file.truncate(mib * 2**20)
        yield disks
    finally:
        for disk in disks:
            disk.unlink(missing_ok=True)


def scratch_disk(folder: Path, number: int) -> Path:
    """Return the file of scratch disk *number* of a guest whose folder is *folder*."""
    return folder / SCRATCH.format(disk_serial(number))
