# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels in real guests. Kernels come from the user's cache, or are built on first use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.host.paths import default_cache, find_checkout
from harness.report.terminal.view import View
from harness.run.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
Harness = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, so that ``-m 'not qemu'`` leaves it out."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.qemu)


@pytest.fixture(scope="session")
def workspace() -> Iterator[Workspace]:
    """The checkout under test with the user's own cache; progress goes to the real stderr."""
    with View(Console(file=sys.__stderr__, highlight=False), live=False) as view:
        yield Workspace(find_checkout(ROOT), default_cache(), report=view)


@pytest.fixture
def harness() -> Harness:
    """Run the ``harness`` command as a user does."""

    def run(*args: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "harness", *args),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            **kwargs,  # type: ignore[call-overload]
        )

    return run
