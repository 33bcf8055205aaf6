# SPDX-License-Identifier: GPL-2.0-only
"""Options of a plan on a command line: the same words for the CLI and for pytest.

An option that was not given leaves the plan's own value (from a TOML file or the default).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.arch import arch_names
from harness.host.paths import Checkout
from harness.model.values import Plan
from harness.plan.plan import check_plan, load_plan, plan_from


@dataclass(frozen=True)
class PlanOption:
    """One option: its flag and the plan's field it sets; values are text as the user wrote it."""

    flag: str
    field: str  # key in a plan's TOML file
    metavar: str
    help: str
    several: bool = False  # a list: given again, it takes more

    @property
    def dest(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def action(self) -> str:
        """What argparse, and pytest on top of it, is to do with a value."""
        return "append" if self.several else "store"


OPTIONS = (
    PlanOption(
        "--series",
        "series",
        "NAME",
        "of patches/, or a folder, mbox, git:REPO#A..B, edits:REPO; 'none': as it is",
    ),
    PlanOption("--base", "base", "SPEC", "kernel source: debian:5.10, dir:PATH, git:PATH#REF, ..."),
    PlanOption(
        "--arch", "arch", "LIST", f"architectures, of {', '.join(arch_names())}", several=True
    ),
    PlanOption(
        "--position", "positions", "LIST", "positions: 4, 0-4 or 0,2 (default: all)", several=True
    ),
    PlanOption(
        "--ram", "ram", "LIST", "RAM of a guest: 128M, or 64M,128M (default: enough)", several=True
    ),
    PlanOption("--cpus", "cpus", "N", "virtual CPUs of a guest"),
    PlanOption(
        "--test", "tests", "GLOBS", "guest tests by name: 'vmalloc-*,kvmalloc-flags'", several=True
    ),
    PlanOption(
        "--load", "loads", "LIST", "loads to run under; 'none' is the run without one", several=True
    ),
    PlanOption("--config", "config", "TOPICS", "further config fragments, by topic", several=True),
    PlanOption("--accel", "accel", "NAME", "tcg, kvm, or auto: kvm if a probe guest ran"),
    PlanOption("--jobs", "jobs", "N", "guests at a time (default: as cores and memory allow)"),
    PlanOption("--repeat", "repeat", "N", "run every cell N times, each in a fresh guest"),
    PlanOption(
        "--mirror", "mirror", "URI", "Debian mirror (default: the one this host's apt uses)"
    ),
)


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Declare every option of a plan on *parser*."""
    group = parser.add_argument_group("plan", "each lays over the plan's file")
    for option in OPTIONS:
        group.add_argument(
            option.flag, action=option.action, metavar=option.metavar, help=option.help
        )


def plan_of(values: Mapping[str, Any], checkout: Checkout, file: Path | None = None) -> Plan:
    """Return the checked plan of *file* (or the default one) with *values* laid over it.

    ``values`` maps each option's ``dest`` to text, a list of texts where it may be given again,
    or None where it was not given.

    Raises:
        UserError: one line that names option or key, value and what is allowed.
    """
    given = {
        option.field: (option.flag, _text(values[option.dest]))
        for option in OPTIONS
        if values.get(option.dest) is not None
    }
    plan = load_plan(file, checkout) if file is not None else Plan()
    return check_plan(plan_from(plan, given), checkout, archs=arch_names())


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)
