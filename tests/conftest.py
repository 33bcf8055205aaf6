# SPDX-License-Identifier: GPL-2.0-only
"""What every test of the project can rely on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from harness.cache import lease

# In CI the same examples each time: whether a change lands must not be a throw of dice. A person's
# runs go on looking for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure() -> None:
    """Let Ctrl-C work: a CI may start us in the background, with SIGINT ignored for good."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _leases_end() -> Iterator[None]:
    """Let each test end as a process does: what it used of a cache is in use no longer."""
    yield
    lease.end_all()
