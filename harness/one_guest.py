# SPDX-License-Identifier: GPL-2.0-only
"""One guest for a person: what ``harness boot`` and ``harness shell`` share."""

from __future__ import annotations

import argparse
from dataclasses import replace

from harness import host
from harness.errors import UserError
from harness.model import GuestSpec
from harness.plan_options import plan_of
from harness.qemu.accel import choose_accel
from harness.stages import Workspace, furnished_image, guest_spec, make_bench, make_kernel, prepare


def spec_from(args: argparse.Namespace, space: Workspace, *cmdline: str) -> GuestSpec:
    """Build what the options name and describe one guest of it.

    Without options that is the first architecture at the last position of the series.

    Raises:
        UserError: the options name more than one architecture, position or RAM size.
    """
    plan = plan_of(vars(args), space.checkout)
    if args.arch is None:
        plan = replace(plan, arch=plan.arch[:1])
    for what, values in (("arch", plan.arch), ("position", plan.positions), ("ram", plan.ram_mib)):
        if len(values) > 1:
            raise UserError(f"--{what} names {len(values)} guests", hint="name one")
    ready = prepare(plan, space)
    host.require(ready.archs)
    position = plan.positions[0] if plan.positions else ready.positions[-1]
    (arch,) = ready.archs
    kernel = make_kernel(ready, arch, position, space)
    bench = make_bench(ready, arch, kernel, space)
    accel, _ = choose_accel(plan.accel, arch)
    bench = replace(bench, initramfs=furnished_image(ready, bench, space))
    spec = guest_spec(plan, arch, bench, plan.ram_mib[0], accel)
    return replace(spec, cmdline=(*spec.cmdline, *cmdline))
