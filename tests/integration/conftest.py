# SPDX-License-Identifier: GPL-2.0-only
"""What all stages are tested with: a toy kernel tree, a fake QEMU, and a host that is not busy."""

from __future__ import annotations

import pytest

from harness.host.packages import GENERAL, install_command, missing_packages
from harness.model.values import Speed


def pytest_configure() -> None:
    """Refuse where there is no compiler, say: no test here could tell it as plainly."""
    missing = missing_packages(r for r in GENERAL if not r.optional)
    if missing:
        raise pytest.UsageError(f"missing on this host; run: {install_command(missing)}")


@pytest.fixture(autouse=True)
def _idle_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fake guest's time-outs be what its scenario makes of them, whatever else runs here."""
    monkeypatch.setattr("harness.guest.guest.host_speed", lambda: Speed(1.0))
