# SPDX-License-Identifier: GPL-2.0-only
"""Open an interactive shell on the serial console of a built guest.

Ctrl-A x ends the guest; `poweroff -f` in its shell does the same. What the kernel complained of
is shown again at the end with its lines of source; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.cli.single_guest import guest_from, print_fault
from harness.guest.qemu.argv import SHELL, Channels, gdb_stub_argv, qemu_argv
from harness.model.errors import InfraError
from harness.plan.options import add_plan_options
from harness.run.driven import TOLERABLE, parse_tolerated, seen_on_console
from harness.run.workspace import Workspace

HELP = "open a shell on the serial console of a built guest"
CONSOLE_LIMIT = 16 * 2**20  # bytes of the console that are looked at in the end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the guest's options."""
    add_plan_options(parser)
    parser.add_argument(
        "--gdb", type=Path, metavar="SOCKET", help="let gdb attach at this unix socket, made for it"
    )
    parser.add_argument("--tolerate", action="append", default=[], metavar="KIND",
                        help=f"of the kernel's complaints: {', '.join(TOLERABLE)}")  # fmt: skip


def _kept(log: Path) -> bytes:
    """Return the end of *log*: as much of it as is read again."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - CONSOLE_LIMIT))
            return file.read()
    except FileNotFoundError:  # this console was never opened
        return b""


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Connect the terminal to the guest's console until it ends; 1 where the kernel is at fault."""
    tolerated = parse_tolerated(args.tolerate, "--tolerate")
    single = guest_from(args, workspace, SHELL, furnished=True)
    spec = single.spec
    workspace.settle()
    print(f"{spec.arch.name}, {spec.ram_mib} MiB; Ctrl-A x ends it", file=sys.stderr)
    stub: tuple[str, ...] = ()
    if args.gdb is not None:
        stub = gdb_stub_argv(args.gdb)
        attach = f"-ex 'target remote {args.gdb}' {spec.kernel.with_name('vmlinux')}"
        print(f"gdb -x docs/kernel.gdb {attach}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="kph-") as folder:
        log = Path(folder, "console.log")
        done = subprocess.run((*qemu_argv(spec, Channels.by_hand(log)), *stub), check=False)
        printed = _kept(log)
    if done.returncode != 0:
        raise InfraError(f"{spec.arch.qemu} ended with {done.returncode}", hint="see its message")
    seen = seen_on_console(printed, single.debug, tolerated, *single.modules)
    if not seen.fault:
        return 0
    print_fault(spec.arch.name, seen, sys.stdout)
    return 1
