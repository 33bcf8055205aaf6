# SPDX-License-Identifier: GPL-2.0-only
"""Where a command works: checkout, cache and store, and who is told about progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.cache.store import Store
from harness.host.paths import Cache, Checkout
from harness.model.events import Event

Report = Callable[[Event], None]


@dataclass(frozen=True)
class Workspace:
    """Where things are, and who is told about progress."""

    checkout: Checkout
    cache: Cache
    report: Report
    settle: Callable[[], None] = lambda: None  # ends a live display before results are printed

    @property
    def store(self) -> Store:
        return Store(self.cache.store)
