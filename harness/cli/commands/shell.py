# SPDX-License-Identifier: GPL-2.0-only
"""Open an interactive shell on the serial console of a built guest.

Ctrl-A x ends the guest; `poweroff -f` in its shell does the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from harness.cli.single_guest import spec_from
from harness.guest.qemu.argv import SHELL, Channels, gdb_stub_argv, qemu_argv
from harness.model.errors import InfraError
from harness.plan.options import add_plan_options
from harness.run.workspace import Workspace

HELP = "open a shell on the serial console of a built guest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the guest's options."""
    add_plan_options(parser)
    parser.add_argument(
        "--gdb", type=Path, metavar="SOCKET", help="let gdb attach at this unix socket, made for it"
    )


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Connect the terminal to the guest's console until it ends."""
    spec = spec_from(args, workspace, SHELL)
    workspace.settle()
    print(f"{spec.arch.name}, {spec.ram_mib} MiB; Ctrl-A x ends it", file=sys.stderr)
    stub: tuple[str, ...] = ()
    if args.gdb is not None:
        stub = gdb_stub_argv(args.gdb)
        attach = f"-ex 'target remote {args.gdb}' {spec.kernel.with_name('vmlinux')}"
        print(f"gdb -x docs/kernel.gdb {attach}", file=sys.stderr)
    done = subprocess.run((*qemu_argv(spec, Channels.by_hand()), *stub), check=False)
    if done.returncode != 0:
        raise InfraError(f"{spec.arch.qemu} ended with {done.returncode}", hint="see its message")
    return 0
