# SPDX-License-Identifier: GPL-2.0-only
"""The one table of plan options: the command line, pytest and a plan's TOML file come from it.

A new option is one entry of :data:`OPTIONS` and one field of :class:`Plan`, which has its default.
An option that is not given leaves the plan's own value.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.arch import arch_names
from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.jsonio import suggest
from harness.model.values import Plan
from harness.plan.descriptions import read_toml
from harness.plan.guest_words import parse_append, parse_qemu_args
from harness.plan.loads import parse_loads
from harness.plan.plan import (
    check_plan,
    parse_accel,
    parse_count,
    parse_mirrors,
    parse_names,
    parse_positions,
    parse_rams,
    parse_text,
)


@dataclass(frozen=True)
class PlanOption:
    """One option. Its TOML keys are the flag without dashes and the field's name."""

    flag: str
    field: str  # of Plan
    convert: Callable[[object], object]  # from text or a TOML value; UserError: not allowed
    metavar: str
    help: str
    several: bool = False  # a list: given again, it takes more
    with_commas: bool = False  # a comma is part of a value, and does not end it
    may_be_empty: bool = False  # an empty list in TOML means all, or nothing beyond the default

    @property
    def dest(self) -> str:
        """Name of its value among those that argparse or pytest has parsed."""
        return self.flag.removeprefix("--")


# fmt: off
OPTIONS = (
    PlanOption("--series", "series", parse_text, "NAME",
               "of patches/, or a folder, mbox, git:REPO#A..B, edits:REPO; 'none': as it is"),
    PlanOption("--base", "base", parse_text, "SPEC",
               "kernel source: debian:5.10, dir:PATH, git:PATH#REF, ..."),
    PlanOption("--arch", "arch", parse_names, "LIST",
               f"architectures, of {', '.join(arch_names())}", several=True),
    PlanOption("--position", "positions", parse_positions, "LIST",
               "positions: 4, 0-4 or 0,2 (default: all)", several=True, may_be_empty=True),
    PlanOption("--ram", "ram_mib", parse_rams, "LIST",
               "RAM of a guest: 128M, or 64M,128M (default: enough)", several=True),
    PlanOption("--cpus", "cpus", parse_count(1), "N",
               "virtual CPUs of a guest"),
    PlanOption("--test", "tests", parse_names, "GLOBS",
               "guest tests by name: 'vmalloc-*,kvmalloc-flags'", several=True, may_be_empty=True),
    PlanOption("--load", "loads", parse_loads, "LIST",
               "loads to run under; 'none' is the run without one", several=True),
    PlanOption("--config", "config", parse_names, "TOPICS",
               "further config fragments, by topic", several=True, may_be_empty=True),
    PlanOption("--accel", "accel", parse_accel, "NAME",
               "tcg, kvm, or auto: kvm if a probe guest ran"),
    PlanOption("--jobs", "jobs", parse_count(0), "N",
               "guests at a time (default: as cores and memory allow)"),
    PlanOption("--repeat", "repeat", parse_count(1), "N",
               "run every cell N times, each in a fresh guest"),
    PlanOption("--mirror", "mirror", parse_mirrors, "URI",
               "Debian mirror (default: the one this host's apt uses); given again, tried next",
               several=True, with_commas=True),
    PlanOption("--append", "append", parse_append, "WORDS",
               "further kernel parameters: 'slub_debug=FZ nokaslr'",
               several=True, with_commas=True, may_be_empty=True),
    PlanOption("--qemu-arg", "qemu_args", parse_qemu_args, "ARG",
               "further arguments of QEMU's: '-device virtio-rng-pci'",
               several=True, with_commas=True, may_be_empty=True),
)
# fmt: on
_BY_KEY = {key: option for option in OPTIONS for key in (option.dest, option.field)}

# ---------------------------------------------------------------- command line and pytest


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Declare every option of a plan on *parser*."""
    declare(parser.add_argument_group("plan", "each lays over the plan's file").add_argument)


def declare(add: Callable[..., object], prefix: str = "") -> None:
    """Declare every option by *add*, argparse's or pytest's; *prefix* stands before each dest."""
    for option in OPTIONS:
        add(
            option.flag,
            action="append" if option.several else "store",
            dest=prefix + option.dest,
            metavar=option.metavar,
            help=option.help,
        )


def given_options(values: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[str, object]]:
    """Return what :func:`plan_from` takes of *values*: parsed ones by *prefix* and dest.

    A value is text, a list of texts where an option may be given again, or None: not given.
    """
    texts = {option: values.get(prefix + option.dest) for option in OPTIONS}
    return {
        option.dest: (
            option.flag,
            text if isinstance(text, str) or option.with_commas else ",".join(text),
        )
        for option, text in texts.items()
        if text is not None
    }


def plan_of(
    values: Mapping[str, Any], checkout: Checkout, file: Path | None = None, prefix: str = ""
) -> Plan:
    """Return the checked plan of *file* (or the default one) with *values* laid over it.

    *values* and *prefix* are as :func:`given_options` takes them.

    Raises:
        UserError: one line that names option or key, value and what is allowed.
    """
    plan = load_plan(file, checkout) if file is not None else Plan()
    return check_plan(plan_from(plan, given_options(values, prefix)), checkout, archs=arch_names())


# ---------------------------------------------------------------- a plan


def plan_from(plan: Plan, given: Mapping[str, tuple[str, object]]) -> Plan:
    """Lay *given* over *plan*.

    *given* maps an option's dest or field to its place, for errors ("--ram", "plan.toml: ram"), and
    its value as written there: text, or a TOML value.

    Raises:
        UserError: a key that no plan has, one that is there twice, or a value not allowed.
    """
    changed: dict[str, Any] = {}
    for key, (where, value) in given.items():
        option = _BY_KEY.get(key)
        if option is None:
            raise UserError(f"{where}: unknown key '{key}': {suggest(key, _BY_KEY, 'allowed are')}")
        if option.field in changed:
            raise UserError(f"{where}: the same is given twice under two names")
        try:
            empty = value == [] and option.may_be_empty
            changed[option.field] = () if empty else option.convert(value)
        except UserError as error:
            raise UserError(f"{where}: {error.what}", hint=error.hint) from None
    return replace(plan, **changed)


def load_plan(file: Path, checkout: Checkout, *, archs: Collection[str] = ()) -> Plan:
    """Return the plan in the TOML file *file*, its names checked as by :func:`check_plan`.

    Raises:
        UserError: the file cannot be read, is not TOML, or says something that is not allowed.
    """
    given = {key: (f"{file}: {key}", value) for key, value in read_toml(file).items()}
    return check_plan(plan_from(Plan(), given), checkout, archs=archs, where=f"{file}: ")
