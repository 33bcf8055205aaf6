# SPDX-License-Identifier: GPL-2.0-only
"""Build kernels, guest test modules and programs, without booting anything."""

from __future__ import annotations

import argparse

from harness.host import packages
from harness.plan.options import add_plan_options, plan_of
from harness.run.artifacts import guest_artifacts, make_kernel
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

HELP = "build the kernels of a series, without booting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options."""
    add_plan_options(parser)


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Build every position and architecture asked for; print where the images are."""
    ready = prepare(plan_of(vars(args), workspace.checkout), workspace)
    packages.require(ready.archs)
    lines = []
    for position in ready.positions:
        for arch in ready.archs:
            kernel = make_kernel(ready, arch, position, workspace)
            artifacts = guest_artifacts(ready, arch, kernel, workspace)
            how = "reused" if kernel.reused else f"built in {kernel.seconds:.0f} s"
            lines.append(f"{arch.name} p{position} ({how})\n  kernel    {kernel.image}")
            lines.append(f"  initramfs {artifacts.initramfs}\n  log       {kernel.build_log}")
            lines += [f"  warning   {text}" for text in kernel.warnings]
    workspace.settle()
    print("\n".join(lines))
    return 0
