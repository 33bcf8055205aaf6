# SPDX-License-Identifier: GPL-2.0-only
"""Guest architectures: every file of this folder is one, found by listing it.

A module gives ``ARCH``, a ``Arch``; nothing else in the harness asks which architecture it
deals with.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from harness.model.errors import UserError
from harness.model.values import Arch


def arch_names() -> tuple[str, ...]:
    """Return the names of all architectures, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def load_arch(name: str) -> Arch:
    """Return the architecture called *name*.

    Raises:
        UserError: there is no such file in this folder.
    """
    if name not in arch_names():
        close = difflib.get_close_matches(name, arch_names(), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(arch_names())}"
        raise UserError(f"unknown architecture '{name}'", hint=hint)
    arch: Arch = importlib.import_module(f"{__name__}.{name}").ARCH
    return arch


def all_archs() -> tuple[Arch, ...]:
    """Return every architecture, sorted by name."""
    return tuple(load_arch(name) for name in arch_names())
