# SPDX-License-Identifier: GPL-2.0-only
"""What all stages are tested with: a toy kernel tree, a fake QEMU, and a host that is not busy."""

from __future__ import annotations

import pytest

from harness.model.values import Speed


@pytest.fixture(autouse=True)
def _idle_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a fake guest's time-outs be what its scenario makes of them, whatever else runs here."""
    monkeypatch.setattr("harness.guest.guest.host_speed", lambda: Speed(1.0))
