# SPDX-License-Identifier: GPL-2.0-only
"""Guests as contenders: a cold boot, a fresh clone, and the emulator with no machine at all.

The only module of the benchmark that knows how the harness makes guests.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.model import Contender, Once, Sample
from bench.testbed import Testbed, spec_of
from harness.arch import load_arch
from harness.cache.store import Store
from harness.guest.guest import Guest, boot
from harness.guest.template import clone as template_clone
from harness.guest.template import make_template
from harness.host import process
from harness.model.errors import GuestError, InfraError

READY, RAN, WHOLE, WORKED = "ready", "ran a program", "whole", "worked"
COMMAND = ("/bin/true",)
# Some seconds of a busy shell under TCG: as many samples as a test of ours has.
WORK = ("/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")

OpenGuest = Callable[[Path], AbstractContextManager[Guest]]


def cold(arch: str) -> Contender:
    """Boot from the first instruction on."""

    @contextmanager
    def open_(testbed: Testbed) -> Iterator[Once]:
        spec = spec_of(testbed, arch)
        yield lambda: _once(testbed, lambda folder: boot(spec, folder))

    return Contender(
        f"cold boot {arch}", "harness.guest.guest.boot() to the answer of its agent", open_
    )


def clone(arch: str) -> Contender:
    """Copy a template that is there."""

    @contextmanager
    def open_(testbed: Testbed) -> Iterator[Once]:
        open_clone = clones_of(testbed, arch, testbed.workspace.store)
        yield lambda: _once(testbed, open_clone)

    return Contender(
        f"clone {arch}", "harness.guest.template.clone() to the answer of its agent", open_
    )


def clones_of(testbed: Testbed, arch: str, store: Store) -> OpenGuest:
    """Make the template of *arch*'s guest, or find it in *store*; return what opens a clone."""
    template = make_template(spec_of(testbed, arch), store)
    return lambda folder: template_clone(template, folder)


def no_machine(arch: str) -> Contender:
    """Start the emulator with no machine and let it quit: what no guest can go below."""
    argv = (load_arch(arch).qemu, "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "none", "-monitor", "stdio")  # fmt: skip

    @contextmanager
    def open_(_: Testbed) -> Iterator[Once]:
        yield lambda: command(argv, stdin="quit\n")

    return Contender(f"no machine {arch}", f"echo quit | {' '.join(argv)}", open_)


def sampled_work(arch: str, *, sampled: bool) -> Contender:
    """Let a program work in a clone, while the guest is sampled or is not."""

    @contextmanager
    def open_(testbed: Testbed) -> Iterator[Once]:
        open_clone = clones_of(testbed, arch, testbed.workspace.store)

        def once() -> Sample:
            folder = testbed.new_folder("guest")
            with open_clone(folder) as guest:
                if sampled:
                    guest.machine.sampling.begin("none")  # as a test's run does
                begun = time.perf_counter()
                answer(guest, WORK)
                seconds = time.perf_counter() - begun
            shutil.rmtree(folder)
            return {WORKED: seconds}

        yield once

    said = "with" if sampled else "without"
    return Contender(f"work {said} samples {arch}", f"{WORK[-1]} in a clone, {said} samples", open_)


def command(
    argv: tuple[str, ...],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    accepted: tuple[int, ...] = (0,),
) -> Sample:
    """Run a command to its end and time it.

    Raises:
        InfraError: it ended with another exit status than those *accepted*.
    """
    begun = time.perf_counter()
    done = process.run(argv, stdin=stdin, cwd=cwd, env=env)
    seconds = time.perf_counter() - begun
    if done.status not in accepted:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["said nothing"]
        raise InfraError(f"'{argv[0]}' ended with {done.status}: {said[0]}", detail=" ".join(argv))
    return {WHOLE: seconds}


def _once(testbed: Testbed, open_guest: OpenGuest) -> Sample:
    folder = testbed.new_folder("guest")
    begun = time.perf_counter()
    with open_guest(folder) as guest:
        guest.hello()  # a command of the agent's: the kernel, PID 1 and the link all work
        ready = time.perf_counter() - begun
        answer(guest)
        ran = time.perf_counter() - begun
    whole = time.perf_counter() - begun
    shutil.rmtree(folder)
    return {READY: ready, RAN: ran, WHOLE: whole}


def answer(guest: Guest, argv: tuple[str, ...] = COMMAND) -> None:
    """Let *guest* run a command.

    Raises:
        GuestError: it did not, or the command failed.
    """
    done = guest.exec(argv)
    if not done.ok:
        raise GuestError(f"{argv[0]} ended with {done.how} {done.number}")
