# SPDX-License-Identifier: GPL-2.0-only
"""Build kernels, guest test modules and programs, without booting anything."""

from __future__ import annotations

import argparse

from harness.model.errors import HarnessError
from harness.plan.options import add_plan_options, plan_of
from harness.run.kernel_failed import KernelFailed
from harness.run.lab import Lab
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

HELP = "build the kernels of a series, without booting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the plan's options."""
    add_plan_options(parser)


def execute(args: argparse.Namespace, workspace: Workspace) -> int:
    """Build every position and architecture asked for; print where the images are.

    1: one does not apply or build, by its own doing.

    Raises:
        HarnessError: a guest test or a load does not build; all else was built.
    """
    ready = prepare(plan_of(vars(args), workspace.checkout), workspace)
    lines = []
    broken: list[HarnessError] = []
    lab = Lab(ready, workspace)
    failed = 0
    for position in ready.positions:
        for arch in ready.archs:
            try:
                kernel = lab.kernel(arch, position)
            except KernelFailed as failure:
                failed += 1
                lines.append(failure.text)
                continue
            artifacts = lab.guest_artifacts(arch, kernel)
            broken += artifacts.broken.values()
            how = "reused" if kernel.reused else f"built in {kernel.seconds:.0f} s"
            lines.append(f"{arch.name} p{position} ({how})\n  kernel    {kernel.image}")
            lines.append(f"  initramfs {artifacts.initramfs}\n  log       {kernel.build_log}")
            lines += [f"  warning   {text}" for text in kernel.warnings]
    workspace.settle()
    print("\n".join(lines))
    for error in broken:
        raise error
    return 1 if failed else 0
