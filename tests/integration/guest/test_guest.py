# SPDX-License-Identifier: GPL-2.0-only
"""A guest from boot to end: what it does well, and each way in which it does not."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from harness.guest import guest as guest_module
from harness.guest.guest import BootFailure, boot
from harness.guest.transport import reader
from harness.host.deadline import Deadline
from harness.model.errors import GuestError, InfraError
from harness.model.events import Stage
from harness.model.results import Death, Ended
from harness.model.values import GuestSpec, Speed
from harness.run.guest_test import run_test
from tests.integration.fakeqemu import BOOTS, PASSES, READY, TEST, fake_guest, on

E = TypeVar("E", bound=Exception)


def failing(
    kind: type[E], match: str, spec: GuestSpec, folder: Path, deadline: Deadline | None = None
) -> E:
    """Boot *spec*, which must fail like this, and return the error."""
    with pytest.raises(kind, match=match) as caught, boot(spec, folder, deadline=deadline):
        pass
    return caught.value


# ---------------------------------------------------------------- booting


def test_boot_leaves_evidence(tmp_path: Path) -> None:
    stages: list[object] = []
    spec = fake_guest(
        tmp_path, on('read = [{ agent = "out {id} a%20b" }, { agent = "end {id} exit:0" }]')
    )
    with boot(spec, tmp_path / "out" / "cell", stages.append) as guest:
        assert guest.alive
        assert guest.ready.release == "5.10.0-fake"
        assert guest.speed.factor == 1.0
        assert guest.read("/proc/x") == "a b\n"
        guest.write("/proc/y", "1")
        argv = guest.argv
    assert not guest.alive
    folder = tmp_path / "out" / "cell"
    assert tuple(shlex.split((folder / "argv.txt").read_text())) == argv
    assert b"Linux version 5.10.0-fake" in (folder / "console.log").read_bytes()
    assert (folder / "kmsg.log").exists()
    assert (folder / "qemu.log").read_bytes() == b""
    assert [s.finished for s in stages if isinstance(s, Stage)] == [False, True]


def test_guest_ends_with_its_block(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), boot(fake_guest(tmp_path, BOOTS), tmp_path) as guest:
        raise ZeroDivisionError
    assert not guest.alive


@pytest.mark.parametrize("split", ["", "split = true"])
def test_boot_with_panic_is_boot_failure(tmp_path: Path, split: str) -> None:
    script = f"""{split}
    boot = [
        {{ console = "[    0.1] VFS: Cannot open root device\\r\\n" }},
        {{ console = "[    0.2] Kernel panic - not syncing: VFS: Unable to mount root fs\\r\\n" }},
        {{ console = "[    0.3] Call Trace:\\r\\n[    0.4] ---[ end Kernel panic" }},
        {{ exit = 0 }},
    ]"""
    error = failing(
        BootFailure, "VFS: Unable to mount root", fake_guest(tmp_path, script), tmp_path
    )
    assert error.death.kind is Death.INITRAMFS
    # All of it, to the last byte before the end.
    assert error.console[-1] == "[    0.4] ---[ end Kernel panic"


def test_boot_with_reset_is_boot_failure(tmp_path: Path) -> None:
    script = 'boot = [{ console = "early\\r\\n" }, { exit = 0 }]'
    error = failing(BootFailure, "reset", fake_guest(tmp_path, script), tmp_path)
    assert (error.death.kind, error.console) == (Death.RESET, ("early",))


def test_boot_that_hangs_fails_as_silent(tmp_path: Path) -> None:
    script = 'boot = [{ console = "Freeing unused kernel memory\\r\\n" }]'
    error = failing(
        BootFailure,
        "last line: Freeing unused",
        fake_guest(tmp_path, script),
        tmp_path,
        deadline=Deadline(0.5),
    )
    assert error.death.kind is Death.SILENT


def test_boot_with_dying_emulator_is_guest_error(tmp_path: Path) -> None:
    script = 'boot = [{ stderr = "qemu: could not load kernel\\n" }, { exit = 1 }]'
    error = failing(
        GuestError, "exit 1: qemu: could not load kernel", fake_guest(tmp_path, script), tmp_path
    )
    assert "-kernel" in error.detail
    assert (tmp_path / "qemu.log").read_text() == "qemu: could not load kernel\n"


def test_boot_with_crashing_emulator_is_guest_error(tmp_path: Path) -> None:
    failing(GuestError, "SIGABRT", fake_guest(tmp_path, "boot = [{ exit = -6 }]"), tmp_path)


def test_a_missing_emulator_names_its_package(tmp_path: Path) -> None:
    spec = fake_guest(tmp_path, BOOTS)
    spec = replace(spec, arch=replace(spec.arch, qemu="no-such-qemu"))
    failing(InfraError, "no-such-qemu is not installed", spec, tmp_path)


def test_boot_drains_endless_stderr(tmp_path: Path) -> None:
    script = f'boot = [{{ flood = ["stderr", 4] }}, {{ agent = "{READY}" }}]'
    with boot(fake_guest(tmp_path, script), tmp_path) as guest:
        assert guest.alive
    assert (tmp_path / "qemu.log").stat().st_size < 2**20 + 100


# ---------------------------------------------------------------- tests


def test_run_test_log_has_records_of_test_alone(tmp_path: Path) -> None:
    table = (
        PASSES
        + """
    rmmod = [{ agent = "kmsg 6,{seq},2000003;bye" }, { agent = "ok {id}" }]
    exec = [{ agent = "kmsg 4,{seq},1500000;before" }, { agent = "end {id} exit:0" }]
    """
    )
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        guest.exec(["/bin/true"])
        first = run_test(guest, TEST)
        second = run_test(guest, TEST)
        assert guest.alive
    assert first.ended is Ended.DONE
    assert first.log == (
        "# Subtest: sweep",
        "# a: EXPECTATION FAILED\n    Expected 1",
        "ok 1 - a",
        "bye",
    )
    assert second.log == first.log
    assert (first.errno, first.lost_records, first.reason, first.load_ended) == (0, 0, "", "")
    assert first.seconds > 0


def test_knobs_are_set_before_the_module_goes_in(tmp_path: Path) -> None:
    table = """
    write = [{ agent = "kmsg 6,{seq},1;{arg}" }, { agent = "ok {id}" }]
    insmod = [{ agent = "kmsg 6,{seq},1;{arg}" }, { agent = "end {id} exit:0" }]
    """
    test = replace(TEST, knobs=(("/sys/a", "1"), ("/sys/b", "N")))
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        run_test(guest, test)
    said = [line.split("] ")[1] for line in (tmp_path / "kmsg.log").read_text().splitlines()]
    assert said == [
        "/sys/a",
        "/sys/b",
        "harness: test sweep begins",
        "/harness/modules/sweep_test.ko",
        "harness: test sweep ends",
    ]


def test_run_test_with_unknown_knob_names_it(tmp_path: Path) -> None:
    table = '"write /sys/a" = [{ agent = "err {id} No%20such%20file" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, replace(TEST, knobs=(("/sys/a", "1"),)))
        assert guest.alive
    assert outcome.ended is Ended.REFUSED
    assert outcome.reason == "knob /sys/a: No such file"


def test_run_test_with_refused_module_gives_errno(tmp_path: Path) -> None:
    table = """
    insmod = [
        { agent = "kmsg 3,{seq},9;sweep_test: Unknown symbol x" }, { agent = "end {id} errno:2" },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
        assert guest.alive
    assert outcome.ended is Ended.REFUSED
    assert outcome.errno == 2
    assert outcome.log == ("sweep_test: Unknown symbol x",)
    assert outcome.reason == "module sweep_test: No such file or directory"


def test_run_test_with_panic_has_last_words(tmp_path: Path) -> None:
    # The dying kernel forwards nothing: what came after record 1 is on the console only.
    table = """
    insmod = [
        { console = "[    2.000000] ok 1 - a\\r\\n" },
        { agent = "kmsg 6,{seq},2000000;ok 1 - a" },
        { console = "[    2.000001] ok 2 - b\\r\\n[    2.1] noise\\r\\n" },
        { console = "[    2.500000] BUG: kernel NULL pointer dereference\\r\\n" },
        { console = "[    2.600000] Kernel panic - not syncing: Fatal exception\\r\\n" },
        { console = "[    2.700000] end Kernel panic" },
        { exit = 0 },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
        assert not guest.alive
        again = run_test(guest, TEST)
    assert outcome.ended is Ended.DIED
    assert outcome.reason == "the kernel panicked: Fatal exception"
    assert outcome.log == (
        "ok 1 - a",
        "ok 2 - b",
        "[    2.1] noise",
        "BUG: kernel NULL pointer dereference",
        "Kernel panic - not syncing: Fatal exception",
        "end Kernel panic",
    )
    assert again.ended is Ended.DIED


def test_run_test_with_reset_died(tmp_path: Path) -> None:
    with boot(fake_guest(tmp_path, on("insmod = [{ exit = 0 }]")), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    assert outcome.ended is Ended.DIED
    assert outcome.reason == "the guest reset or powered off"


def test_run_test_with_crashing_emulator_is_lost(tmp_path: Path) -> None:
    table = 'insmod = [{ stderr = "assertion failed\\n" }, { exit = -6 }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    assert outcome.ended is Ended.LOST
    assert outcome.reason == "QEMU ended with SIGABRT: assertion failed"


def test_run_test_with_terminated_emulator_is_lost(tmp_path: Path) -> None:
    table = """
    insmod = [{ stderr = "qemu: terminating on signal 15 from pid 1 (init)\\n" }, { exit = 0 }]
    """
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    assert outcome.ended is Ended.LOST
    assert "terminating on signal 15" in outcome.reason


def test_run_test_with_closed_port_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CUT_GRACE_S", 0.05)
    table = 'insmod = [{ close = "agent" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
        assert not guest.alive
    assert outcome.ended is Ended.LOST
    assert "port was closed" in outcome.reason


def test_run_test_that_hangs_spoils_guest(tmp_path: Path) -> None:
    table = """
    insmod = [
        { agent = "kmsg 6,{seq},2000000;# Subtest: sweep" },
        { agent = "beat 1 uptime_ms=9 mem_free_kb=77" },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, replace(TEST, timeout_s=0.2))
        assert not guest.alive
        again = run_test(guest, TEST)
    assert outcome.ended is Ended.SILENT
    assert outcome.log == ("# Subtest: sweep",)
    assert "did not answer within 0 s (insmod)" in outcome.reason
    assert "77 KiB were free" in outcome.reason
    assert again.ended is Ended.SILENT


@pytest.mark.parametrize(("spin_us", "factor"), [("20000", 400), ("9" * 400, 20_000)])
def test_a_slow_guest_on_a_busy_host_has_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spin_us: str, factor: float
) -> None:
    monkeypatch.setattr("harness.guest.guest.host_speed", lambda: Speed(200.0))
    slow = READY.replace("spin_us=10000", f"spin_us={spin_us}")
    script = f"""
    boot = [{{ agent = "{slow}" }}]
    [on]
    insmod = [
        {{ nap = 0.4 }}, {{ agent = "kmsg 6,{{seq}},1;ok" }}, {{ agent = "end {{id}} exit:0" }},
    ]"""
    with boot(fake_guest(tmp_path, script), tmp_path) as guest:
        assert guest.speed.factor == factor
        outcome = run_test(guest, replace(TEST, timeout_s=0.1))
    assert outcome.ended is Ended.DONE


def test_run_test_with_stuck_module_spoils_guest(tmp_path: Path) -> None:
    table = PASSES + 'rmmod = [{ agent = "err {id} Device%20or%20resource%20busy" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
        assert not guest.alive
    assert outcome.ended is Ended.DONE
    assert "cannot be unloaded: Device or resource busy" in outcome.reason
    assert outcome.log[-1] == "ok 1 - a"


# ---------------------------------------------------------------- further requests


def test_exec_gives_output_and_end(tmp_path: Path) -> None:
    table = """
    "exec /bin/a" = [
        { agent = "out {id} 1" }, { agent = "out {id} 2" }, { agent = "end {id} exit:4" },
    ]
    "exec /bin/b" = [{ agent = "end {id} signal:11" }]
    "exec /bin/c" = [{ agent = "err {id} not%20found" }]
    """
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        done = guest.exec(["/bin/a", "x"])
        assert (done.lines, done.how, done.number, done.ok) == (("1", "2"), "exit", 4, False)
        assert guest.exec(["/bin/b"]).how == "signal"
        with pytest.raises(GuestError, match="did not run /bin/c: not found"):
            guest.exec(["/bin/c"])


def test_read_and_write_errors_name_reason(tmp_path: Path) -> None:
    table = """
    read = [{ agent = "out {id} x" }, { agent = "end {id} errno:13" }]
    write = [{ agent = "err {id} Permission%20denied" }]
    """
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        with pytest.raises(GuestError, match="cannot read /proc/x: errno 13"):
            guest.read("/proc/x")
        with pytest.raises(GuestError, match="cannot write /proc/x: Permission denied"):
            guest.write("/proc/x", "1")


def test_wake_gives_each_guest_another_seed(tmp_path: Path) -> None:
    seeds = set()
    for name in ("a", "b"):
        table = 'wake = [{ agent = "kmsg 6,{seq},1;{arg}" }, { agent = "ok {id}" }]'
        folder = tmp_path / name
        folder.mkdir()
        with boot(fake_guest(folder, on(table)), folder):
            pass
        seeds.add((folder / "kmsg.log").read_text().split("] ")[1].strip())
    assert len(seeds) == 2
    assert all(len(bytes.fromhex(seed)) == 32 for seed in seeds)


def test_qemu_refusing_a_command_says_so(tmp_path: Path) -> None:
    with boot(fake_guest(tmp_path, BOOTS), tmp_path) as guest:
        with pytest.raises(GuestError, match="no command dance"):
            guest.monitor.execute("dance", deadline=Deadline(20))
        assert guest.monitor.execute("query-status", deadline=Deadline(20))["running"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("ok {id} hostkey=ssh-ed25519%20AAAA", "forwards nothing to port 22"),
        ("err {id} eth0", "no SSH server: eth0"),
    ],
)
def test_a_guest_without_a_network_has_no_ssh(tmp_path: Path, answer: str, why: str) -> None:
    script = on(f'sshd = [{{ agent = "{answer}" }}]')
    with (
        boot(fake_guest(tmp_path, script), tmp_path) as guest,
        pytest.raises(GuestError, match=why),
    ):
        guest.ssh()


# ---------------------------------------------------------------- its end


def test_power_off_waits_for_the_end_that_it_asked_for(tmp_path: Path) -> None:
    spec = fake_guest(tmp_path, on('poweroff = [{ agent = "ok {id}" }, { exit = 0 }]'))
    with boot(spec, tmp_path) as guest:
        assert guest.power_off()
        assert guest.machine.failure() is None
        assert not guest.alive


@pytest.mark.parametrize("said", ["ok {id}", "err {id} unknown%20verb"])
def test_guest_that_does_not_power_off_is_left_to_its_owner(
    tmp_path: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_module, "POWER_OFF_S", 0.2)
    with boot(fake_guest(tmp_path, on(f'poweroff = [{{ agent = "{said}" }}]')), tmp_path) as guest:
        assert not guest.power_off()
    assert not guest.alive
