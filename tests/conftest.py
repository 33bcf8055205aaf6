# SPDX-License-Identifier: GPL-2.0-only
"""What every test of the project can rely on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let Ctrl-C work: a CI may start us in the background, with SIGINT ignored for good."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
