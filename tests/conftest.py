# SPDX-License-Identifier: GPL-2.0-only
"""What every test of the project can rely on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from harness.cache import lease

# What make run sets up has no hypothesis, and pytest loads this file for guest tests as well.
with contextlib.suppress(ImportError):
    from hypothesis import settings

    # In CI the same examples each time: whether a change lands must not be a throw of dice. A
    # person's runs go on looking for new ones.
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


# ---------------------------------------------------------------- slow tests


LEFT_OUT = pytest.StashKey[str]()


def _minutes(items: Iterable[pytest.Item]) -> dict[str, int]:
    """Return what the slow ones of *items* do and how many minutes that takes on two cores.

    Tests whose marks say the same share the time.
    """
    marks = filter(None, (item.get_closest_marker("slow") for item in items))
    return {mark.args[0]: mark.kwargs["minutes"] for mark in marks}


def pytest_report_collectionfinish(items: Sequence[pytest.Item]) -> list[str]:
    """Say before slow tests what they do, and how long that takes."""
    parts = _minutes(items)
    if not parts:
        return []
    lines = [f"{minutes:4} min  {what}" for what, minutes in parts.items()]
    return ["slow tests, on two cores:", *lines, f"{sum(parts.values()):4} min  in all"]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note the slow tests that are left out."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        minutes = sum(_minutes(slow).values())
        slow[0].config.stash[LEFT_OUT] = (
            f"left out: {len(slow)} slow tests, {minutes} minutes; they are make proof"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was left out to the process that reports, where this is a worker of its."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it from a worker."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", "")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line what was left out."""
    if config.stash.get(LEFT_OUT, ""):
        terminalreporter.write_line(config.stash[LEFT_OUT], yellow=True)
