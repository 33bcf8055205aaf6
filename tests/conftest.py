# SPDX-License-Identifier: GPL-2.0-only
"""What every test of the project can rely on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from harness import lease


def pytest_configure() -> None:
    """Let Ctrl-C work: a CI may start us in the background, with SIGINT ignored for good."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _leases_end() -> Iterator[None]:
    """Let each test end as a process does: what it used of a cache is in use no longer."""
    yield
    lease.end_all()
