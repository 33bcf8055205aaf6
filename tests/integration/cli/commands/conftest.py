# SPDX-License-Identifier: GPL-2.0-only
"""The cache, and the command on it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import main
from tests.integration.cli.commands import ROOT, Command, Done, Lab


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything was built once."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Lab(folder, monkeypatch)
    return folder


@pytest.fixture
def lab(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A copy of it: links between its files stay links."""
    subprocess.run(("cp", "-a", f"{built}/.", tmp_path), check=True)
    return Lab(tmp_path, monkeypatch)


@pytest.fixture
def harness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run ``harness cache`` on the lab's cache, in this process, and check its exit code."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*args: str, code: int = 0) -> Done:
        capsys.readouterr()
        argv = ("--root", str(ROOT), "--cache", str(tmp_path / "cache"), "cache", *args)
        status = main(argv)
        done = Done(*capsys.readouterr())
        assert status == code, done
        return done

    yield run
    signal.signal(signal.SIGTERM, before)
