# SPDX-License-Identifier: GPL-2.0-only
"""Guest architectures: every file of this folder is one, found by listing it.

A module gives ``ARCH``, an :class:`Arch`; no other code depends on an architecture's name.
"""

from __future__ import annotations

import importlib
import pkgutil

from harness.model.errors import UserError
from harness.model.jsonio import suggest
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
        raise UserError(f"unknown architecture '{name}'", hint=suggest(name, arch_names()))
    arch: Arch = importlib.import_module(f"{__name__}.{name}").ARCH
    return arch


def all_archs() -> tuple[Arch, ...]:
    """Return every architecture, sorted by name."""
    return tuple(load_arch(name) for name in arch_names())
