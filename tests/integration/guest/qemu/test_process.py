# SPDX-License-Identifier: GPL-2.0-only
"""One emulator process: connected before it runs, and gone when we are done with it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from harness.guest.qemu import process
from harness.guest.qemu.argv import Channels, qemu_argv
from harness.guest.qemu.process import Qemu, death_of, find_emulator, kill_all, qemu_version
from harness.host.deadline import Deadline
from harness.model.errors import GuestError, InfraError
from tests.integration.fakeqemu import BOOTS, fake_arch, fake_guest, fake_machine

PATIENCE_S = 20.0  # far more than anything here takes


def start(folder: Path, scenario: str = BOOTS) -> Qemu:
    return Qemu(partial(qemu_argv, fake_guest(folder, scenario)))


def gone(pid: int) -> bool:
    """Wait until no process *pid* runs any more (a zombie does not)."""
    deadline = Deadline(PATIENCE_S)
    while not deadline.passed:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.005)
    return False


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def read_all(qemu: Qemu) -> bytes:
    return b"".join(iter(partial(qemu.console.recv, 65536), b""))


def test_console_of_process_is_complete_from_first_byte(tmp_path: Path) -> None:
    # It prints and dies before anybody reads.
    with start(tmp_path, 'boot = [{ console = "first words" }, { exit = 3 }]') as qemu:
        assert qemu.wait(Deadline(PATIENCE_S)) == 3
        assert read_all(qemu) == b"first words"


def test_process_stop_may_be_repeated(tmp_path: Path) -> None:
    with start(tmp_path, 'ignore = ["quit", "term"]\nboot = [{ console = "up" }]') as qemu:
        assert qemu.console.recv(10)
        qemu.stop()
        assert qemu.exit_code() == -signal.SIGKILL
        assert qemu.stopped
        qemu.stop()
    assert gone(qemu.pid)


def test_process_exit_code_survives_stop(tmp_path: Path) -> None:
    with start(tmp_path, "boot = [{ exit = 7 }]") as qemu:
        assert qemu.wait(Deadline(PATIENCE_S)) == 7
        qemu.stop()
        assert not qemu.stopped
        assert qemu.exit_code() == 7


def test_process_has_own_session(tmp_path: Path) -> None:
    # So that Ctrl-C in the terminal reaches us, and we end it in our own order.
    with start(tmp_path) as qemu:
        assert os.getsid(qemu.pid) == qemu.pid


def test_process_outlives_starting_thread(tmp_path: Path) -> None:
    started: list[Qemu] = []
    thread = threading.Thread(target=lambda: started.append(start(tmp_path)))
    thread.start()
    thread.join()
    with started[0] as qemu:
        assert qemu.console.recv(10)
        assert qemu.exit_code() is None


CHILD = """
import sys, time
from pathlib import Path
from tests.integration.guest.qemu.test_process import start
with start(Path(sys.argv[1])) as qemu:
    qemu.console.recv(10)
    print(qemu.pid, flush=True)
    time.sleep(600)
"""


def test_process_dies_with_killed_harness(tmp_path: Path) -> None:
    root = Path(__file__).parents[4]
    argv = (sys.executable, "-c", CHILD, str(tmp_path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=root) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        os.kill(pid, 0)
        harness.kill()
    assert gone(pid)


def test_process_of_dead_parent_does_not_start() -> None:
    guard = ("sh", "-c", process._WITH_PARENT)

    def printed_for(parent: int) -> bytes:
        argv = (*guard, str(parent), "echo", "runs")
        return subprocess.run(argv, stdout=subprocess.PIPE, check=False).stdout

    assert printed_for(os.getpid()) == b"runs\n"
    assert printed_for(1) == b""


def test_kill_all_ends_every_process(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        guests = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            guests.append(stack.enter_context(start(folder)))
        kill_all()
        codes = [qemu.wait(Deadline(PATIENCE_S)) for qemu in guests]
        assert codes == [-signal.SIGKILL, -signal.SIGKILL]
        assert all(qemu.stopped for qemu in guests)


def test_machine_leaves_no_file_or_thread(tmp_path: Path) -> None:
    def run() -> None:
        with fake_machine(tmp_path, BOOTS) as machine:
            machine.agent.wait_ready(Deadline(PATIENCE_S))
            machine.monitor.execute("query-status", deadline=Deadline(PATIENCE_S))

    run()  # starts the threads that stay
    before = (open_files(), threading.active_count())
    for _ in range(3):
        run()
    assert (open_files(), threading.active_count()) == before


@pytest.mark.parametrize("script", [BOOTS, "boot = [{ exit = 0 }]", "boot = [{ exit = -6 }]"])
@pytest.mark.parametrize("wait", [False, True])
def test_process_ends_leave_no_unraised_error(
    tmp_path: Path, script: str, wait: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # asyncio tells of such errors when they are collected: on somebody else's stderr.
    with fake_machine(tmp_path, script) as machine:
        if wait:
            machine.agent.wait_ready(Deadline(PATIENCE_S))
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_missing_emulator_names_its_package() -> None:
    with pytest.raises(InfraError, match="no-such-qemu is not installed") as caught:
        find_emulator("no-such-qemu", "qemu-system-x86")
    assert "qemu-system-x86" in caught.value.hint


def test_process_whose_command_fails_leaves_nothing() -> None:
    def fails(_: Channels) -> tuple[str, ...]:
        raise ZeroDivisionError

    before = open_files()
    with pytest.raises(ZeroDivisionError):
        Qemu(fails)
    assert open_files() == before


def test_qemu_version_is_first_line_of_output(tmp_path: Path) -> None:
    assert qemu_version(fake_arch(tmp_path)) == "QEMU emulator version 7.2.0 (fake)"


@pytest.mark.parametrize(
    ("code", "stderr", "what", "hint"),
    [
        (1, "warning\nqemu: bad option\n", "exit 1: qemu: bad option", "argv.txt"),
        (1, "qemu: cannot set up guest memory 'pc.ram'", "guest memory 'pc.ram'", "--ram"),
        (-signal.SIGKILL, "", "SIGKILL", "memory is short"),
        (-signal.SIGABRT, "Assertion failed", "SIGABRT: Assertion failed", "qemu.log"),
    ],
)
def test_death_of_names_end_in_one_line(
    tmp_path: Path, code: int, stderr: str, what: str, hint: str
) -> None:
    with start(tmp_path) as qemu:
        error = death_of(qemu, code, stderr)
    assert isinstance(error, GuestError)
    assert error.what.endswith(what)
    assert hint in error.hint
    assert "-kernel" in error.detail
    assert stderr.strip() in error.detail
