# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels in real guests. Kernels come from the user's cache, or are built on first use.

``make test`` has time for ten: each position of the default plan on both architectures. A test
that needs any other is marked ``slow``, and fails without the mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.build import kernel
from harness.build.kconfig import topic_files
from harness.cache.lease import LEASES
from harness.host.paths import default_cache, find_checkout
from harness.model.results import RunRecord
from harness.model.values import Plan
from harness.report.json import read_json
from harness.report.terminal.view import View
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
STARTED = time.time()  # leases that are older are of a process that had the same number
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


def default_kernels(workspace: Workspace) -> Iterator[str]:
    """Yield the keys of the default plan's kernels that are in the store."""

    def absent(*_: object) -> None:
        raise LookupError

    ready = prepare(Plan(), workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "WorkTree", absent)  # it is looked for, not built
        for arch, position in product(ready.archs, ready.positions):
            fragments = topic_files(workspace.checkout.kconfigs, arch.name)
            asked = (ready.tree, ready.series, position, arch, fragments)
            with suppress(LookupError):
                yield kernel.build_kernel(*asked, workspace.cache, workspace.report).key


@pytest.fixture(scope="session")
def known() -> set[str]:
    """Keys of kernels that are known to be of the default plan."""
    return set()


@pytest.fixture(autouse=True)
def _no_other_kernels(
    request: pytest.FixtureRequest,
    workspace: Workspace,
    known: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Fail a test that is not slow and used a kernel besides those of the default plan.

    By the leases of the store that this process took, and those that the test started.
    """
    pids = [os.getpid()]

    class Noted(subprocess.Popen[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            pids.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    yield
    if request.node.get_closest_marker("slow"):
        return
    leases = workspace.cache.store / LEASES
    files = [file for pid in pids for file in leases.glob(f"{pid}-*.lease")]
    recent = [file for file in files if file.stat().st_mtime >= STARTED]
    names = {Path(line) for file in recent for line in file.read_text().splitlines()}
    used = {name.name for name in names if name.parent.name == kernel.KERNEL}
    if not used <= known:
        known.update(default_kernels(workspace))
    assert used <= known, "it uses kernels that are not of the default plan: mark it slow"


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


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """Folder and record of the default plan, run once for all tests, each cell in a guest."""
    folder = tmp_path_factory.mktemp("matrix")
    done = subprocess.run(
        (sys.executable, "-m", "harness", "run", "--fresh", "--out", str(folder)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder, read_json(folder)
