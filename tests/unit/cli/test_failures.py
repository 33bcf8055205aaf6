# SPDX-License-Identifier: GPL-2.0-only
"""Whatever ends a command: one clear line, and an exit code that is no verdict's."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Iterator

import pytest

from harness.cli import failures
from harness.cli import main as cli
from harness.cli.main import main
from harness.cli.streams import ReaderGone
from harness.host import paths
from harness.model.errors import GuestError, UserError


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_TRACEBACK", raising=False)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("odd"), 2, "harness: odd"),
        (GuestError("odd"), 3, "harness: odd"),
        (KeyboardInterrupt(), 130, "harness: interrupted"),
        (OSError(errno.EROFS, "Read-only", "/x"), 3, "harness: Read-only: /x"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 3, "harness: Broken pipe"),
        (MemoryError(), 3, "harness: this host has no memory left"),
        (RecursionError("too deep"), 3, "harness: unexpected RecursionError: too deep"),
        (ValueError("a\nb"), 3, "harness: unexpected ValueError: a b"),
        (AssertionError(), 3, "harness: unexpected AssertionError"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), 3, "harness: unexpected UnicodeEncodeError"),
        (ModuleNotFoundError("No module named 'rich'", name="rich"), 3,
         "harness: a Python package is missing or broken: No module named 'rich'"),
        (ImportError("no x in harness.run", name="harness.run"), 3,
         "harness: unexpected ImportError: no x in harness.run"),
        (SystemExit("odd"), 3, "harness: unexpected SystemExit: odd"),
    ],
)  # fmt: skip
def test_every_end_is_one_line_and_its_code(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures.report(error) == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(says)
    assert len(lines) <= 2


def test_error_that_nobody_expected_names_its_place_and_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths.Path, "cwd", lambda: 1 / 0)
    monkeypatch.setattr(cli, "default_cache", lambda: 1 / 0)
    assert main(["list"]) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("harness: unexpected ZeroDivisionError in harness/host/paths.py:")
    assert "HARNESS_TRACEBACK=1" in second


def test_argument_that_is_no_text_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--base", "dir:/x\udce9"]) == 2
    assert r"'dir:/x\xe9' is no text" in capsys.readouterr().err


# ---------------------------------------------------------------- threads


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The watch over threads that a command has."""
    monkeypatch.setattr(failures, "_ended_threads", [])
    before = threading.excepthook
    failures.watch_threads()
    yield
    threading.excepthook = before


def end_a_thread(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let a thread of the next command end by *error* while the command waits for something."""

    def fail() -> None:
        raise error

    def waits(*_: object, **__: object) -> None:
        threading.Thread(target=fail).start()
        time.sleep(60)

    monkeypatch.setattr(cli, "find_checkout", waits)


@pytest.mark.usefixtures("watched")
def test_exception_in_a_thread_ends_the_command_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_a_thread(monkeypatch, ValueError("in a thread"))
    assert main(["list"]) == 3
    assert "harness: unexpected ValueError: in a thread" in capsys.readouterr().err


@pytest.mark.usefixtures("watched")
def test_command_that_takes_the_interrupt_for_its_end_ends_with_3_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    def watches(*_: object) -> int:
        thread = threading.Thread(target=fail)
        with contextlib.suppress(KeyboardInterrupt):
            thread.start()
            time.sleep(60)
        return 0

    monkeypatch.setattr("harness.cli.commands.list.execute", watches)
    assert main(["list"]) == 3
    shown = capsys.readouterr().err
    assert shown.startswith("harness: unexpected ValueError in ")
    assert ": in a thread\n" in shown


@pytest.mark.usefixtures("watched")
def test_reader_that_has_gone_is_told_from_a_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    end_a_thread(monkeypatch, ReaderGone())
    with pytest.raises(ReaderGone):
        main(["list"])
