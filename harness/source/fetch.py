# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees by spec; every module of ``schemes`` is one scheme, found by listing the folder.

A spec is ``scheme:rest``. A module gives ``SCHEME``, ``HELP`` (one line: how ``rest`` is written)
and ``fetch(rest, cache, mirror, report)``, which returns a pristine tree kept in the cache.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from types import ModuleType

from harness.host.paths import Cache, require_usable
from harness.model.errors import UserError
from harness.model.events import Report
from harness.model.values import SourceTree
from harness.source import schemes as scheme_modules


def schemes() -> dict[str, ModuleType]:
    """Return the module of every scheme, by its scheme, sorted."""
    names = (info.name for info in pkgutil.iter_modules(scheme_modules.__path__))
    modules = (importlib.import_module(f"{scheme_modules.__name__}.{name}") for name in names)
    return dict(sorted((module.SCHEME, module) for module in modules))


def fetch(spec: str, cache: Cache, mirror: str, report: Report) -> SourceTree:
    """Return the pristine kernel tree that *spec* names; what is in the cache is not fetched again.

    *mirror* is a Debian mirror, or several with blanks between, "" for the host's own.

    Raises:
        UserError: no such scheme, version, folder, archive or ref; or not a kernel tree; or a
            cache that no kernel can be built in.
        InfraError: no network and not in the cache, no space, or a tool is missing.
    """
    scheme, colon, rest = spec.partition(":")
    known = schemes()
    if scheme not in known or not colon or not rest:
        forms = "; ".join(f"{name}:{module.HELP}" for name, module in known.items())
        raise UserError(f"'{spec}' is no kernel source", hint=f"allowed are {forms}")
    require_usable(cache)
    tree: SourceTree = known[scheme].fetch(rest, cache, mirror, report)
    return replace(tree, spec=spec)


def known(spec: str, cache: Cache) -> SourceTree | None:
    """Return the tree that *spec* means, if it is in the cache, without looking at its files.

    For questions about a tree that build nothing of it. None too where only :func:`fetch` can
    resolve *spec*.
    """
    scheme, _, rest = spec.partition(":")
    lookup = getattr(schemes().get(scheme), "known", None)
    tree: SourceTree | None = lookup(rest, cache) if lookup else None
    return replace(tree, spec=spec) if tree else None
