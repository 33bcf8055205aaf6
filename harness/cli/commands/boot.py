# SPDX-License-Identifier: GPL-2.0-only
"""Boot one guest, print its memory when ready, run commands in it, power it off.

Exit code: 1 where the kernel is at fault: it did not get ready, died, hung, or complained of
something that is not tolerated (shown at the end). Else 0 if every command ended with 0, or that
of the first one that did not (128+N where signal N ended it). 3: the harness failed.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.cli.single_guest import guest_folder, guest_from, print_fault
from harness.guest.boot_examination import examine
from harness.guest.guest import BootFailure, Guest, boot
from harness.guest.template import clone, make_template
from harness.model.errors import GuestError, UserError
from harness.model.events import Event, Stage
from harness.model.jsonio import to_json
from harness.model.values import GuestSpec
from harness.plan.options import add_plan_options
from harness.report.terminal.boot_profile import show_profile
from harness.run.driven import TOLERABLE, Drive, driven, parse_tolerated, seen_of_boot
from harness.run.workspace import Workspace
from harness.verdict.boot_profile import PROFILE_CMDLINE, BootProfile, compressed, profile_boot

HELP = "boot one guest, run commands in it over SSH, power it off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the guest's options and what to run in it."""
    add_plan_options(parser)
    parser.add_argument("--exec", action="append", default=[], metavar="COMMAND",
                        help="run COMMAND in the guest over SSH; may be given again")  # fmt: skip
    parser.add_argument("--tolerate", action="append", default=[], metavar="KIND",
                        help=f"of the kernel's complaints: {', '.join(TOLERABLE)}")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER",
                        help="keep the guest's logs there")  # fmt: skip
    parser.add_argument("--profile", action="store_true",
                        help="show where the time of the boot goes")  # fmt: skip
    parser.add_argument("--json", action="store_true",
                        help="with --profile: print it as JSON, and nothing else")  # fmt: skip


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Boot; 1 where the kernel is at fault, else the exit code of the first command that failed."""
    if args.json and not args.profile:
        raise UserError("--json is for --profile", hint="give both")
    if args.json and args.exec:
        raise UserError("--json prints the profile alone", hint="leave --exec out")
    tolerated = parse_tolerated(args.tolerate, "--tolerate")
    single = guest_from(args, workspace, furnished=False)
    plain = single.spec
    spec = replace(plain, cmdline=(*plain.cmdline, *PROFILE_CMDLINE)) if args.profile else plain
    workspace.settle()
    clock = _Clock()
    code = 0

    def use(guest: Guest) -> None:
        nonlocal code
        if not args.json:
            _print_ready(guest, spec)
        if args.profile:
            profile = _profile(guest, spec, clock.ready_s)
            cloned = _clone_s(plain, workspace, folder / "clone")
            _show(replace(profile, clone_s=cloned), as_json=args.json)
        code = _run_all(guest, args.exec) if args.exec else 0

    with guest_folder(args.out) as folder:
        try:
            with (
                boot(spec, folder, report=clock) as guest,
                Drive(guest, single.debug, tolerated, *single.modules) as drive,
            ):
                seen = driven(drive, partial(use, guest))
        except BootFailure as failure:
            whole = BootFailure(examine(spec, failure.death, folder))
            seen = seen_of_boot(single.judge(whole), single.debug)
    if not seen.fault:
        return code
    print_fault(spec.arch.name, seen, sys.stderr if args.json else sys.stdout)
    return 1


class _Clock:
    """Times a boot by its events."""

    def __init__(self) -> None:
        self._begun = self._ended = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stage) and event.finished:
            self._ended = time.monotonic()
        else:
            self._begun = time.monotonic()

    @property
    def ready_s(self) -> float:
        return self._ended - self._begun


def _print_ready(guest: Guest, spec: GuestSpec) -> None:
    ready = guest.ready
    free, known = ready.mem_free_kb / 1024, ready.mem_total_kb / 1024
    print(
        f"{spec.arch.name}: Linux {ready.release} ready after {ready.uptime_ms} ms of guest time; "
        f"of {spec.ram_mib} MiB the kernel itself took {spec.ram_mib - known:.1f} and gave out "
        f"{known:.1f}, {free:.1f} of it free"
    )


def _profile(guest: Guest, spec: GuestSpec, ready_s: float) -> BootProfile:
    with spec.kernel.open("rb") as image:
        unpacks = compressed(image.read(64))
    log = guest.exec(("/bin/dmesg",))
    try:
        return profile_boot(
            log.lines,
            arch=spec.arch.name,
            release=guest.ready.release,
            ready_s=ready_s,
            unpacks=unpacks,
        )
    except ValueError as error:
        raise GuestError(
            f"this boot has no profile: {error}",
            hint="the kernel needs CONFIG_PRINTK and CONFIG_PRINTK_TIME",
        ) from error


def _clone_s(spec: GuestSpec, workspace: Workspace, folder: Path) -> float:
    """Return how long a clone of *spec*'s guest takes to answer, in seconds."""
    template = make_template(spec, workspace.store)
    begun = time.monotonic()
    with clone(template, folder):
        return time.monotonic() - begun


def _show(profile: BootProfile, *, as_json: bool) -> None:
    if as_json:
        print(to_json(profile), end="")
    else:
        show_profile(profile, Console(highlight=False))


def _run_all(guest: Guest, commands: list[str]) -> int:
    """Run *commands* one after the other; return the first exit code that is not 0, else 0."""
    failed = 0
    with guest.ssh() as ssh:
        for command in commands:
            # A shell around it: of a command that a signal ended, SSH says no more than that.
            print(f"$ {command}", flush=True)
            done = ssh.run(f"sh -c {shlex.quote(command)}; exit $?")
            print(f"{done.stdout}{done.stderr}", end="")
            failed = failed or done.exit
    return failed
