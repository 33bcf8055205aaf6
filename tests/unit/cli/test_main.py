# SPDX-License-Identifier: GPL-2.0-only
"""What a person reads of an error: one line, or on request where it was raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main as cli
from harness.cli.main import main

WRONG = ("report", "no-such-run")


def test_error_is_one_line_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HARNESS_TRACEBACK", raising=False)
    assert main(WRONG) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "harness: no finished run 'no-such-run'"
    assert second.startswith("harness: next: ")


def test_error_has_its_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_TRACEBACK", "1")
    assert main(WRONG) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "in find_run" in shown
    assert "harness: no finished run 'no-such-run'" in shown


def test_error_of_the_host_names_the_file_and_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def unreadable(*_: object, **__: object) -> None:
        (tmp_path / "absent").read_bytes()

    monkeypatch.setenv("HARNESS_TRACEBACK", "1")
    monkeypatch.setattr(cli, "find_checkout", unreadable)
    assert main(WRONG) == 3
    shown = capsys.readouterr().err
    assert "in unreadable" in shown
    assert f"harness: No such file or directory: {tmp_path / 'absent'}" in shown
