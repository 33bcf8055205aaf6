# SPDX-License-Identifier: GPL-2.0-only
"""Real guests: every way into them, and every way in which they end."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pexpect import EOF, spawn

from harness.arch import arch_names, load_arch
from harness.guest.guest import BootFailure, boot
from harness.guest.qemu.accel import choose_accel, probe
from harness.guest.template import clone, make_template
from harness.guest.transport.console import FROM_CONSOLE
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Death, Ended
from harness.model.values import GuestSpec, GuestTest, Plan
from harness.run.artifacts import boot_artifacts, guest_spec, make_kernel
from harness.run.guest_test import run_test
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from tests.qemu.conftest import ROOT

SYSRQ = "/proc/sysrq-trigger"
NO_TEST = GuestTest("none", Path("none"), "", module="no_such_module", suite="none")


@pytest.fixture(scope="module", params=arch_names())
def spec(request: pytest.FixtureRequest, workspace: Workspace) -> GuestSpec:
    """A guest of each architecture, with the whole series applied."""
    arch = load_arch(request.param)
    plan = Plan(arch=(arch.name,), positions=(4,))
    ready = prepare(plan, workspace)
    bench = boot_artifacts(ready, arch, make_kernel(ready, arch, 4, workspace), workspace)
    return guest_spec(plan, arch, bench, 128, "tcg")


def test_every_way_into_a_guest_works(spec: GuestSpec, tmp_path: Path) -> None:
    with boot(spec, tmp_path) as guest:
        assert guest.ready.cpus == 1
        assert guest.ready.spin_us > 0
        assert 0 < guest.ready.mem_free_kb < guest.ready.mem_total_kb < 128 * 1024
        assert guest.ready.release in guest.read("/proc/version")
        assert guest.exec(["/bin/busybox", "echo", "a b%"]).lines == ("a b%",)
        assert guest.exec(["/bin/false"]).number == 1
        assert not guest.exec(["/no/such/program"]).ok
        status = guest.monitor.execute("query-status", deadline=Deadline(20))
        assert status["status"] == "running"
        with guest.ssh() as ssh:
            done = ssh.run("cat; uname -m; echo oops >&2; exit 3", stdin=b"hello\n")
            assert done.stdout.splitlines() == ["hello", spec.arch.uname]
            assert (done.stderr, done.exit) == ("oops\n", 3)
            content = os.urandom(300_000)
            assert ssh.run("cat > /tmp/x", stdin=content).exit == 0
            assert ssh.fetch("/tmp/x") == content
            with pytest.raises(GuestError, match="cannot fetch /no/such/file"):
                ssh.fetch("/no/such/file")
        assert any("Linux version" in line for line in guest.console.lines)
    assert b"Linux version" in (tmp_path / "console.log").read_bytes()


def test_a_person_can_use_the_console(spec: GuestSpec, tmp_path: Path) -> None:
    with boot(replace(spec, cmdline=("harness.shell",)), tmp_path) as guest:
        guest.console.send("echo $((6*7)) $(tty)")
        guest.console.expect(rf"42 /dev/{spec.arch.console}\r", Deadline(30))


@pytest.mark.parametrize("cloned", [False, True])
def test_command_by_hand_boots_the_same_kernel(
    spec: GuestSpec, workspace: Workspace, tmp_path: Path, cloned: bool
) -> None:
    spec = replace(spec, disks_mib=(8,))
    made = clone(make_template(spec, workspace.store), tmp_path) if cloned else boot(spec, tmp_path)
    with made as guest:
        version = guest.read("/proc/version").strip()
    (tmp_path / "elsewhere").mkdir()
    script = str(tmp_path / "argv-by-hand.txt")
    with spawn("sh", [script], cwd=tmp_path / "elsewhere", timeout=120) as shell:
        shell.expect_exact(version)  # in the log of its boot
        shell.expect_exact("~ # ")
        shell.sendline("cat /proc/version; poweroff -f")
        shell.expect_exact(version)
        shell.expect(EOF)
    assert shell.exitstatus == 0


def test_nothing_gets_out_of_a_guest(spec: GuestSpec, tmp_path: Path) -> None:
    # 10.0.2.2 is the host's own loopback, where QEMU lets guests out that are not restricted.
    with socket.create_server(("127.0.0.1", 0)) as host, boot(spec, tmp_path) as guest:
        port = host.getsockname()[1]
        with guest.ssh() as ssh:
            assert "10.0.2.15" in ssh.run("busybox ifconfig eth0").stdout
            assert ssh.run(f"busybox nc -w 2 10.0.2.2 {port} </dev/null").exit != 0
        host.settimeout(0.1)
        with pytest.raises(TimeoutError):
            host.accept()


@pytest.mark.parametrize(
    ("key", "reason"), [("c", "the kernel panicked: sysrq triggered crash"), ("b", "reset")]
)
def test_a_guest_that_dies_in_a_test_is_noticed_at_once(
    spec: GuestSpec, tmp_path: Path, key: str, reason: str
) -> None:
    test = replace(NO_TEST, timeout_s=600.0, knobs=((SYSRQ, key),))
    with boot(spec, tmp_path) as guest:
        begun = time.monotonic()
        outcome = run_test(guest, test)
        assert time.monotonic() - begun < 60
        assert not guest.alive
    assert outcome.ended is Ended.DIED
    assert reason in outcome.reason
    if key == "c":
        # Only the console has it: PID 1 died with the kernel.
        assert any("Kernel panic - not syncing" in record for record in outcome.log)
        kmsg = (tmp_path / "kmsg.log").read_text()
        before, _, after = kmsg.partition(f"{FROM_CONSOLE}\n")
        assert "init: ready" in before
        assert "Kernel panic - not syncing: sysrq triggered crash" in after
        assert not set(before.splitlines()) & set(after.splitlines())


def test_a_module_that_is_not_there_is_refused(spec: GuestSpec, tmp_path: Path) -> None:
    with boot(spec, tmp_path) as guest:
        outcome = run_test(guest, NO_TEST)
        assert guest.alive
    assert (outcome.ended, outcome.errno) == (Ended.REFUSED, 2)


def test_a_guest_that_hangs_is_silent_and_still_goes_away(spec: GuestSpec, tmp_path: Path) -> None:
    with boot(spec, tmp_path) as guest:
        pid = guest.pid
        os.kill(pid, signal.SIGSTOP)
        outcome = run_test(guest, replace(NO_TEST, knobs=(), timeout_s=0.5))
        assert not guest.alive
    assert outcome.ended is Ended.SILENT
    assert not Path(f"/proc/{pid}").exists()


def test_a_kernel_that_cannot_boot_is_a_boot_failure(spec: GuestSpec, tmp_path: Path) -> None:
    broken = replace(spec, cmdline=("rdinit=/bin/false",))
    with (
        pytest.raises(BootFailure, match="Attempted to kill init") as caught,
        boot(broken, tmp_path),
    ):
        pass
    assert caught.value.death.kind is Death.INIT
    assert not caught.value.death.attributable
    assert any("Kernel panic" in line for line in caught.value.console)


def test_more_memory_than_the_host_has_is_our_error(spec: GuestSpec, tmp_path: Path) -> None:
    with (
        pytest.raises(GuestError, match="memory") as caught,
        boot(replace(spec, ram_mib=8_000_000), tmp_path),
    ):
        pass
    assert "--ram" in caught.value.hint


CHILD = """
import pickle, sys, time
from pathlib import Path
from harness.guest.guest import boot
with boot(pickle.load(sys.stdin.buffer), Path(sys.argv[1])) as guest:
    print(guest.pid, flush=True)
    time.sleep(600)
"""


def test_no_guest_outlives_a_killed_harness(spec: GuestSpec, tmp_path: Path) -> None:
    argv = (sys.executable, "-c", CHILD, str(tmp_path))
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, cwd=ROOT) as harness:
        assert harness.stdin is not None
        assert harness.stdout is not None
        harness.stdin.write(pickle.dumps(spec))
        harness.stdin.close()
        pid = int(harness.stdout.readline())
        os.kill(pid, 0)
        harness.kill()
    deadline = Deadline(20)
    while _runs(pid) and not deadline.passed:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Say whether *pid* runs; a zombie that nobody has collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_the_probe_runs_under_emulation(spec: GuestSpec) -> None:
    result = probe(spec.arch, "tcg")
    assert result.ok, result.reason


def test_the_accelerator_that_is_chosen_boots_a_guest(spec: GuestSpec, tmp_path: Path) -> None:
    accel, _ = choose_accel("auto", spec.arch)
    with boot(replace(spec, accel=accel), tmp_path) as guest:
        assert guest.alive
