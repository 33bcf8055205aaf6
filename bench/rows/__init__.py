# SPDX-License-Identifier: GPL-2.0-only
"""Rows of the table: every file of this folder gives some as ``ROWS``, found by listing it.

Files are named ``NN_what.py``: the number is the row's place in the table.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from fnmatch import fnmatchcase

from bench.model import Row
from harness.model.errors import UserError


def all_rows() -> tuple[Row, ...]:
    """Return every row, in the table's order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return tuple(
        row for name in names for row in importlib.import_module(f"{__name__}.{name}").ROWS
    )


def select(rows: Sequence[Row], patterns: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows whose names match one of *patterns*, all if there are none.

    A pattern without a glob means every row that begins so: ``clone`` is all of a clone's.

    Raises:
        UserError: a pattern that matches nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = {row.name for row in rows if _fits(row.name, pattern)}
        if not found:
            names = ", ".join(row.name for row in rows)
            raise UserError(f"no row is called '{pattern}'", hint=f"there are: {names}")
        chosen |= found
    return tuple(row for row in rows if not patterns or row.name in chosen)


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern) or fnmatchcase(name, pattern)
