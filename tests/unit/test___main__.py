# SPDX-License-Identifier: GPL-2.0-only
"""``harness`` before its command line runs."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __main__ as entry
from harness.cli import failures, streams
from harness.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pytest its own streams, and its watch over threads."""
    monkeypatch.setattr(streams, "set_up", lambda: None)
    monkeypatch.setattr(failures, "watch_threads", lambda: None)
    monkeypatch.setattr(failures, "unwatch_threads", lambda: None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_before_the_command_line_handles_it_ends_with_one_line_and_130(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(cli, "main", lambda: signal.raise_signal(number))
    try:
        assert entry.main() == 130
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    assert capsys.readouterr().err == "harness: interrupted\n"


def test_python_that_is_too_old_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    assert entry.main() == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first == "harness: this is Python 3.10, and the harness needs 3.11 or newer"
    assert second.startswith("harness: next: ")


def test_what_an_old_python_reads_needs_nothing_newer() -> None:
    for name in ("__init__.py", "__main__.py"):
        ast.parse((ROOT / "harness" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_missing_package_is_one_clear_line() -> None:
    # As it is in an environment without any of ours.
    argv = (sys.executable, "-S", "-m", "harness", "list")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert first.startswith("harness: a Python package is missing or broken: No module named ")
    assert second.startswith("harness: next: ")
