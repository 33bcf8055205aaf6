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


def test_run_returns_both_outputs_and_the_status() -> None:
    done = process.run(("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (done.stdout, done.stderr, done.status, done.ok) == ("out\n", "err\n", 3, False)
    assert process.run(("true",)).ok


def test_run_with_a_log_appends_both_outputs_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    lines: list[str] = []
    done = process.run(
        ("sh", "-c", "echo one; echo two >&2; printf three"), log=log, on_line=lines.append
    )
    assert log.read_text() == "before\none\ntwo\nthree"
    assert lines == ["one", "two", "three"]
    assert done.stdout == "one\ntwo\nthree"


def test_run_with_stdin_gives_it_and_else_an_empty_one() -> None:
    assert process.run(("cat",), stdin="x" * 200_000).stdout == "x" * 200_000
    assert process.run(("cat",)).stdout == ""


def test_run_of_a_command_with_bytes_that_are_no_text_replaces_them() -> None:
    assert process.run(("printf", r"a\377b")).stdout == "a�b"


def test_environ_leaves_out_settings_of_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKEFLAGS", "ARCH", "KBUILD_OUTPUT", "LC_MESSAGES", "GIT_DIR", "KCFLAGS",
                 "LLVM_IAS", "HOSTCFLAGS", "CONFIG_NUMA", "GNUMAKEFLAGS", "CPATH"):  # fmt: skip
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("http_proxy", "kept")
    done = process.run(("env",), env={"KBUILD_BUILD_USER": "ours"})
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert found["LC_ALL"] == "C"
    assert found["KBUILD_BUILD_USER"] == "ours"
    assert found["http_proxy"] == "kept"
    assert "theirs" not in found.values()


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without anything for a build."""
    for name in list(os.environ):
        if name not in ("PATH", "HOME"):
            monkeypatch.delenv(name)
    return monkeypatch


SETTINGS = [
    "LLVM",
    "CC",
    "ARCH",
    "CROSS_COMPILE",
    "KCFLAGS",
    "KBUILD_OUTPUT",
    "KCONFIG_ALLCONFIG",
    "LD",
    "HOSTCC",
    "V",
    "O",
    "MAKEFLAGS",
    "INSTALL_MOD_PATH",
    "CONFIG_KASAN",
    "LLVM_IAS",
    "HOSTCFLAGS",
]


@pytest.mark.parametrize("name", SETTINGS)
def test_build_setting_without_effect_is_told(clean: pytest.MonkeyPatch, name: str) -> None:
    clean.setenv(name, "x")
    assert process.ignored_build_settings() == (f"{name}=x",)
    assert name not in process.environ()


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "GIT_DIR", "http_proxy", "TERM", "EDITOR"])
def test_other_settings_are_not_told(clean: pytest.MonkeyPatch, name: str) -> None:
    clean.setenv(name, "x")
    clean.setenv("CC", " ")
    assert process.ignored_build_settings() == ()


def test_what_a_make_around_the_harness_sets_is_not_told(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("MAKELEVEL", "1")
    clean.setenv("MAKEFLAGS", "-j4 --jobserver-auth=3,4")
    clean.setenv("V", "1")  # given to that make by a person
    assert process.ignored_build_settings() == ("V=1",)


def test_run_of_a_missing_program_names_doctor() -> None:
    with pytest.raises(InfraError, match="'no-such-program' is not installed") as caught:
        process.run(("no-such-program",))
    assert "harness doctor --install" in caught.value.hint


def test_require_tool_that_is_missing_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfraError, match="'flex' is not installed") as caught:
        process.require_tool("flex")
    assert "Debian package flex" in caught.value.hint


def test_run_in_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no such folder"):
        process.run(("true",), cwd=tmp_path / "none")


def test_run_past_its_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait"
    with pytest.raises(InfraError, match=r"'sh' did not end within 0\.5 s"):
        process.run(("sh", "-c", script), deadline_s=0.5)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_run_whose_reader_raises_ends_the_command(tmp_path: Path) -> None:
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


def test_marker_of_a_killed_command_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_run_with_a_daemon_on_its_pipe_returns(tmp_path: Path) -> None:
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
