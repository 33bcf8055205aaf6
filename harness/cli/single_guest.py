# SPDX-License-Identifier: GPL-2.0-only
"""One guest for a person: what ``harness boot`` and ``harness shell`` share."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.model.errors import UserError
from harness.model.values import GuestSpec
from harness.plan.options import plan_of
from harness.run.artifacts import image_with_all
from harness.run.lab import Lab
from harness.run.prepare import prepare
from harness.run.workspace import Workspace


def spec_from(args: argparse.Namespace, workspace: Workspace, *cmdline: str) -> GuestSpec:
    """Build what the options name and describe one guest of it.

    Without options that is the first architecture at the last position of the series.

    Raises:
        UserError: the options name more than one architecture, position or RAM size.
    """
    plan = plan_of(vars(args), workspace.checkout)
    if args.arch is None:
        plan = replace(plan, arch=plan.arch[:1])
    for what, values in (("arch", plan.arch), ("position", plan.positions), ("ram", plan.ram_mib)):
        if len(values) > 1:
            raise UserError(f"--{what} names {len(values)} guests", hint="name one")
    ready = prepare(plan, workspace)
    position = plan.positions[0] if plan.positions else ready.positions[-1]
    (arch,) = ready.archs
    with Lab(ready, workspace) as lab:
        artifacts = lab.guest_artifacts(arch, lab.kernel(arch, position))
        artifacts = replace(artifacts, initramfs=image_with_all(ready, artifacts, workspace))
        spec = lab.spec(arch, artifacts, ready.plan.ram_mib[0])
    return replace(spec, cmdline=(*spec.cmdline, *cmdline))


@contextmanager
def guest_folder(out: Path | None) -> Iterator[Path]:
    """Give the folder for a guest's logs: *out*, or one that is gone in the end."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="kph-") as folder:
        yield Path(folder)
