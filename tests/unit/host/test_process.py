# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.host import process
from harness.model.errors import InfraError, Interrupted


def gone(pid: int) -> bool:
    """Say whether a process has ended (a zombie that nobody reaped yet has)."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_both_outputs_and_the_status_are_returned() -> None:
    done = process.run(("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (done.stdout, done.stderr, done.status, done.ok) == ("out\n", "err\n", 3, False)
    assert process.run(("true",)).ok


def test_a_log_gets_everything_in_order_and_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    lines: list[str] = []
    done = process.run(
        ("sh", "-c", "echo one; echo two >&2; printf three"), log=log, on_line=lines.append
    )
    assert log.read_text() == "before\none\ntwo\nthree"
    assert lines == ["one", "two", "three"]
    assert done.stdout == "one\ntwo\nthree"


def test_stdin_is_given_and_empty_otherwise() -> None:
    assert process.run(("cat",), stdin="x" * 200_000).stdout == "x" * 200_000
    assert process.run(("cat",)).stdout == ""


def test_bytes_that_are_no_text_do_not_disturb() -> None:
    assert process.run(("printf", r"a\377b")).stdout == "a�b"


def test_settings_of_another_build_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKEFLAGS", "ARCH", "KBUILD_OUTPUT", "LC_MESSAGES", "GIT_DIR", "KCFLAGS"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("http_proxy", "kept")
    done = process.run(("env",), env={"KBUILD_BUILD_USER": "ours"})
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["LC_ALL"] == "C"
    assert found["KBUILD_BUILD_USER"] == "ours"
    assert found["http_proxy"] == "kept"
    assert "theirs" not in found.values()


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(InfraError, match="'no-such-program' is not installed") as caught:
        process.run(("no-such-program",))
    assert "harness doctor --install" in caught.value.hint


def test_a_missing_known_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfraError, match="'flex' is not installed") as caught:
        process.require_tool("flex")
    assert "Debian package flex" in caught.value.hint


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no such folder"):
        process.run(("true",), cwd=tmp_path / "none")


def test_after_the_deadline_the_whole_group_is_gone(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait"
    with pytest.raises(InfraError, match=r"'sh' did not end within 0\.5 s"):
        process.run(("sh", "-c", script), deadline_s=0.5)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_an_exception_of_the_reader_ends_the_command(tmp_path: Path) -> None:
    pids, marker = tmp_path / "pids", tmp_path / "marker"

    def stop(line: str) -> None:
        assert marker.exists()
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        process.run(
            ("sh", "-c", f"echo $$ > {pids}; echo go; sleep 60"), on_line=stop, marker=marker
        )
    assert gone(int(pids.read_text()))
    assert not marker.exists()


def test_the_marker_stays_when_politeness_was_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    marker = tmp_path / "marker"

    def stop(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        process.run(
            ("sh", "-c", "trap '' TERM; echo go; while :; do sleep 0.1; done"),
            on_line=stop,
            marker=marker,
        )
    assert marker.exists()


def test_a_daemon_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    begun = time.monotonic()
    done = process.run(("sh", "-c", f"sleep 30 & echo $! > {pids}; echo said"))
    os.kill(int(pids.read_text()), signal.SIGKILL)
    assert done.stdout == "said\n"
    assert time.monotonic() - begun < 25


def test_stop_all_ends_the_command_of_another_thread_and_starts_none(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = threading.Event()
    argv = ("sh", "-c", f"sleep 60 & echo $$ $! > {pids}; echo go; wait")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(process.run, argv, on_line=lambda _: started.set())
        assert started.wait(10)
        with process.stop_all():
            with pytest.raises(Interrupted):
                running.result(10)
            with pytest.raises(Interrupted):
                process.run(("true",))
    assert not any(Path("/proc", pid).exists() for pid in pids.read_text().split())
    assert process.run(("true",)).ok
