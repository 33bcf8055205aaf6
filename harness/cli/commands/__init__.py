# SPDX-License-Identifier: GPL-2.0-only
"""Subcommands of ``harness``: every file of this folder is one, found by listing it.

A module gives ``HELP`` (one line), ``add_arguments(parser)`` and
``execute(args, space) -> exit code``.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from typing import Protocol, cast

from harness.run.workspace import Workspace


class Command(Protocol):
    """What a module of this folder gives."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare options and operands."""

    def execute(self, args: argparse.Namespace, workspace: Workspace) -> int:
        """Do it; return the exit code."""


def command_names() -> tuple[str, ...]:
    """Return the names of all commands as people type them, sorted."""
    return tuple(sorted(info.name.replace("_", "-") for info in pkgutil.iter_modules(__path__)))


def load_command(name: str) -> Command:
    """Return the command called *name*, which must be one of :func:`command_names`."""
    return cast(Command, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
