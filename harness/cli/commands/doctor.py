# SPDX-License-Identifier: GPL-2.0-only
"""Show what this host has, what it lacks, and whether KVM really runs a guest.

A probe guest of a few instructions is booted under each accelerator: /dev/kvm can exist, open
and create a machine, and still never execute.
"""

from __future__ import annotations

import argparse
import shutil

from rich.console import Console
from rich.table import Table

from harness.arch import all_archs
from harness.guest.qemu.accel import probe
from harness.host import packages, resources
from harness.model.errors import HarnessError
from harness.model.values import AccelName, Arch
from harness.run.workspace import Workspace

HELP = "show what this host has and lacks, and whether KVM really runs a guest"
# A tree is 1.6 GiB, its work copy as much again, a build folder 0.3 GiB an architecture.
WANTED_GIB = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--install``, ``--brief`` and ``--tests``."""
    parser.add_argument("--install", action="store_true", help="install what is missing, with apt")
    parser.add_argument("--brief", action="store_true", help="print nothing if nothing is missing")
    tests = "check also what the project's own tests need"
    parser.add_argument("--tests", action="store_true", help=tests)


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Print the state of the host; 0 when nothing needed is missing or unfit, else 3."""
    console = Console(highlight=False)
    archs = all_archs()
    wanted = packages.requirements(archs) + (packages.BROWSER if args.tests else ())
    if args.install:
        packages.install(packages.missing_packages(wanted))
    needed = [r for r in wanted if not r.optional]
    missing = packages.missing_packages(needed)
    unfit = [r for r in needed if r.unfit]
    if args.brief and not missing and not unfit:
        return 0
    console.print(_requirements(wanted))
    console.print()
    console.print(_accelerators(archs))
    console.print()
    console.print(resources.describe())
    workspace.cache.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(workspace.cache.root).free // 2**30
    low = "" if free >= WANTED_GIB else f" (a first run wants {WANTED_GIB} GiB)"
    console.print(f"cache {workspace.cache.root}: {free} GiB free{low}")
    for r in unfit:
        print(f"\n{r.where} does not do: {r.unfit}\n  {packages.better(r)}")
    if not missing:
        return 3 if unfit else 0
    # Not through rich: a command that a person copies must stay on one line.
    print(f"\nmissing; run: harness doctor --install, or: {packages.install_command(missing)}")
    return 3


def _requirements(wanted: tuple[packages.Requirement, ...]) -> Table:
    table = Table("", "needs", "found", "for", title="host", title_justify="left", box=None)
    for r in wanted:
        mark = "ok" if r.where else ("-" if r.optional else "MISSING")
        mark = "UNFIT" if r.unfit else mark
        table.add_row(mark, r.what, r.where or f"package {' '.join(r.packages)}", r.why)
    return table


def _accelerators(archs: tuple[Arch, ...]) -> Table:
    table = Table("", "arch", "accel", "", title="accelerators", title_justify="left", box=None)
    names: tuple[AccelName, ...] = ("tcg", "kvm")
    for arch in archs:
        for accel in names:
            try:
                result = probe(arch, accel)
            except HarnessError as error:  # no emulator, or nothing to start it with
                table.add_row("no", arch.name, accel, error.what)
                continue
            seconds = f"probe guest ran in {result.seconds:.2f} s"
            table.add_row("ok" if result.ok else "no", arch.name, accel, result.reason or seconds)
    return table
