# SPDX-License-Identifier: GPL-2.0-only
"""``harness`` before its command line runs."""

from __future__ import annotations

import signal

import pytest

from harness import __main__ as entry
from harness.cli import main as cli


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_before_the_command_line_handles_it_ends_with_one_line_and_130(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "main", lambda: signal.raise_signal(number))
    try:
        assert entry.main() == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "harness: interrupted\n"
