# SPDX-License-Identifier: GPL-2.0-only
"""One guest for a person: what ``harness boot`` and ``harness shell`` share."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from harness.guest.guest import BootFailure
from harness.model.errors import UserError
from harness.model.text import one_line, visible
from harness.model.values import GuestSpec
from harness.plan.options import plan_of
from harness.report.splat_text import splat_block
from harness.run.artifacts import image_with_all
from harness.run.boots import NoBoot
from harness.run.driven import Seen
from harness.run.lab import Lab
from harness.run.prepare import prepare
from harness.run.symbolize import DebugSource
from harness.run.workspace import Workspace

CONSOLE_SHOWN = 30  # lines, where no splat says more
SPLATS_SHOWN = 10


@dataclass(frozen=True)
class SingleGuest:
    """A guest to boot, and what tells the source of its kernel's complaints."""

    spec: GuestSpec
    debug: DebugSource
    judge: Callable[[BootFailure], NoBoot]  # says whose fault it is that it does not come up
    modules: tuple[Path, ...]  # those of ours that are in it


def guest_from(
    args: argparse.Namespace, workspace: Workspace, *cmdline: str, furnished: bool
) -> SingleGuest:
    """Build what the options name and describe one guest of it.

    Without options that is the first architecture at the last position of the series. In it are
    the tests and loads that the options name; where it is *furnished*, all others of the plan too.
    What does not build is told and left out.

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
    inside = replace(
        ready,
        tests=ready.tests if furnished or args.test else (),
        loads=ready.loads if furnished or args.load else (),
    )
    with Lab(inside, workspace) as lab:
        artifacts = lab.guest_artifacts(arch, lab.kernel(arch, position))
        if artifacts.modules or artifacts.programs:
            artifacts = replace(artifacts, initramfs=image_with_all(inside, artifacts, workspace))
        spec = lab.spec(arch, artifacts, ready.plan.ram_mib[0])
    modules = [*artifacts.modules.values(), *artifacts.programs.values()]
    spec = replace(spec, cmdline=(*spec.cmdline, *cmdline))
    return SingleGuest(
        spec,
        artifacts.debug,
        lambda failure: lab.judge_boot(position, spec, failure, artifacts.debug),
        tuple(file for file in modules if file.suffix == ".ko"),
    )


def print_fault(name: str, seen: Seen, file: TextIO) -> None:
    """Print what the kernel of the guest called *name* did wrong, as the last thing of *seen*."""
    if not seen.splats and seen.console:
        print(*map(visible, seen.console[-CONSOLE_SHOWN:]), sep="\n", file=file)
    for splat in seen.splats[:SPLATS_SHOWN]:
        print(splat_block(splat), file=file)
    if len(seen.splats) > SPLATS_SHOWN:
        print(f"and {len(seen.splats) - SPLATS_SHOWN} more", file=file)
    print(f"{name}: {one_line(seen.fault)}", file=file)


@contextmanager
def guest_folder(out: Path | None) -> Iterator[Path]:
    """Give the folder for a guest's logs: *out*, or one that is gone in the end."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="kph-") as folder:
        yield Path(folder)
