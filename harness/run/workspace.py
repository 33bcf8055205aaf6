# SPDX-License-Identifier: GPL-2.0-only
"""The workspace of a command: checkout, cache, and the receiver of its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.cache.store import Store
from harness.host.paths import Cache, Checkout
from harness.model.events import Report


@dataclass(frozen=True)
class Workspace:
    """Checkout and cache, and the function that events are reported to."""

    checkout: Checkout
    cache: Cache
    report: Report
    settle: Callable[[], None] = lambda: None  # ends a live display before results are printed

    @property
    def store(self) -> Store:
        return Store(self.cache.store)
