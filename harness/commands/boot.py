# SPDX-License-Identifier: GPL-2.0-only
"""Boot one guest, say what it had when it was ready, run commands in it, power it off."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness.one_guest import spec_from
from harness.plan_options import add_plan_options
from harness.session import BootFailure, boot
from harness.stages import Workspace
from harness.transport.ssh import Ssh

HELP = "boot one guest, run commands in it over SSH, power it off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the guest's options and what to run in it."""
    add_plan_options(parser)
    parser.add_argument("--exec", action="append", default=[], metavar="COMMAND",
                        help="run COMMAND in the guest over SSH; may be given again")  # fmt: skip


def execute(args: argparse.Namespace, space: Workspace) -> int:
    """Boot; 0 when the guest came up and every command ended with 0, else 1."""
    spec = spec_from(args, space)
    space.settle()
    with tempfile.TemporaryDirectory(prefix="kph-") as folder:
        try:
            with boot(spec, Path(folder)) as guest:
                ready = guest.ready
                print(
                    f"{spec.arch.name}: Linux {ready.release} ready after {ready.uptime_ms} ms of "
                    f"guest time, {ready.mem_free_kb} of {ready.mem_total_kb} KiB free"
                )
                if not args.exec:
                    return 0
                with guest.ssh() as ssh:
                    return _run_all(ssh, args.exec)
        except BootFailure as failure:
            print(f"{spec.arch.name}: {failure}")
            print("\n".join(failure.console[-30:]))
            return 1


def _run_all(ssh: Ssh, commands: list[str]) -> int:
    worst = 0
    for command in commands:
        done = ssh.run(command)
        print(f"$ {command}\n{done.stdout}{done.stderr}", end="")
        worst |= done.exit != 0
    return worst
