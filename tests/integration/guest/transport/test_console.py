# SPDX-License-Identifier: GPL-2.0-only
"""The serial console, whatever a guest does to it."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest

from harness.guest.transport import console as console_module
from harness.guest.transport import console_expect as expect_module
from harness.guest.transport import reader
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from tests.integration.fakeqemu import fake_machine

SOON = 20.0


def test_console_log_is_byte_for_byte(tmp_path: Path) -> None:
    raw = "\x1b[1;31mred\x1b[0m\r\n\x00\x07ä€𝄞\r\n".encode() + b"\xff\xfe"
    script = f'split = true\nboot = [{{ console_hex = "{raw.hex()}" }}, {{ exit = 0 }}]'
    with fake_machine(tmp_path, script) as machine:
        assert machine.wait_end(Deadline(SOON)) is Wait.MET
        assert machine.console.lines == (r"\x1b[1;31mred\x1b[0m", r"\x00\x07ä€𝄞", r"\xff\xfe")
    assert (tmp_path / "console.log").read_bytes() == raw


def test_panic_is_seen_across_chunks(tmp_path: Path) -> None:
    script = """
    split = true
    boot = [{ console = "$ [    1.0][    T1] Kernel panic - not syncing: Oops\\r\\n" }]
    """
    with fake_machine(tmp_path, script) as machine:
        how = machine.vitals.wait(lambda: bool(machine.vitals.panic), Deadline(SOON))
        assert how is Wait.MET
        assert machine.vitals.panic == "Oops"


@pytest.mark.parametrize(
    "line", ["echo Kernel panic - not syncing: joke", "panic: Kernel panic - not syncing"]
)
def test_words_about_a_panic_are_none(tmp_path: Path, line: str) -> None:
    script = f'boot = [{{ console = "{line}\\r\\n" }}, {{ exit = 0 }}]'
    with fake_machine(tmp_path, script) as machine:
        machine.wait_end(Deadline(SOON))
        assert machine.vitals.panic == ""
        assert machine.console.lines == (line,)


def test_after_a_panic_waits_end_even_if_the_emulator_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PANIC_GRACE_S", 0.05)
    script = 'boot = [{ console = "Kernel panic - not syncing: stuck\\r\\n" }]'
    with fake_machine(tmp_path, script) as machine:
        assert machine.agent.wait_ready(Deadline(SOON)) is Wait.GONE
        assert machine.vitals.exit_code is None


def test_a_flood_is_drained_and_costs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "LOG_LIMIT", 2**20)
    script = 'boot = [{ flood = ["console", 24] }, { console = "the end\\r\\n" }, { exit = 0 }]'
    with fake_machine(tmp_path, script) as machine:
        assert machine.wait_end(Deadline(SOON)) is Wait.MET
        assert machine.console.received > 24 * 2**20
        assert machine.console.lines[-1] == "the end"
        assert len(machine.console.lines) <= console_module.TAIL_LINES
        assert machine.console._unread_size <= console_module.UNREAD_LIMIT + reader.CHUNK
    log = (tmp_path / "console.log").read_bytes()
    assert 2**20 < len(log) < 2**20 + 100
    assert log.endswith(b"[harness: more came, and is not kept]\n")


def test_a_line_without_an_end_costs_no_memory(tmp_path: Path) -> None:
    script = f"""
    boot = [{{ console = "{"x" * 9000}" }}, {{ console = "\\nnext\\n" }}, {{ exit = 0 }}]
    """
    with fake_machine(tmp_path, script) as machine:
        machine.wait_end(Deadline(SOON))
        assert machine.console.lines == ("x" * console_module.LINE_LIMIT, "next")


def test_a_full_disk_stops_the_log_and_not_the_guest() -> None:
    log = reader.CappedLog(Path("/dev/full"), 100)
    log.write(b"lost")
    log.write(b"lost as well")
    log.close()
    assert log.failure == "No space left on device"


def test_console_takes_typed_line(tmp_path: Path) -> None:
    script = """
    boot = [
        { console = "login: " }, { await = "console" },
        { console = "Password: " }, { await = "console" }, { console = "welcome 42\\r\\n" },
    ]
    """
    with fake_machine(tmp_path, script) as machine:
        machine.console.expect("login: $", Deadline(SOON))
        machine.console.send("root")
        machine.console.expect("Password:", Deadline(SOON))
        machine.console.send("")
        assert machine.console.expect(r"welcome (\d+)", Deadline(SOON))[1] == b"42"


def test_expect_finds_earlier_output(tmp_path: Path) -> None:
    script = 'boot = [{ console = "early\\r\\n" }, { exit = 0 }]'
    with fake_machine(tmp_path, script) as machine:
        machine.wait_end(Deadline(SOON))
        assert machine.console.spawn.expect([b"never", b"early"], timeout=SOON) == 1
        assert machine.console.spawn.expect([b"early", pexpect.EOF], timeout=SOON) == 1


def test_expect_without_match_ends_at_deadline(tmp_path: Path) -> None:
    with fake_machine(tmp_path, 'boot = [{ console = "something else\\r\\n" }]') as machine:
        machine.console.expect("something", Deadline(SOON))
        with pytest.raises(GuestError, match="nothing on the console matched 'never'") as caught:
            machine.console.expect("never", Deadline(0.05))
        assert "something else" in caught.value.detail


def test_waiting_for_a_pattern_ends_with_the_guest(tmp_path: Path) -> None:
    script = 'boot = [{ console = "bye\\r\\n" }, { exit = 0 }]'
    with (
        fake_machine(tmp_path, script) as machine,
        pytest.raises(GuestError, match="the guest ended"),
    ):
        machine.console.expect("never", Deadline.never())


def test_a_flood_without_a_match_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expect_module, "EXPECT_LIMIT", 2**18)
    with (
        fake_machine(tmp_path, 'boot = [{ flood = ["console", 4] }]') as machine,
        pytest.raises(GuestError, match="and no match"),
    ):
        machine.console.expect("never", Deadline(SOON))


def test_typing_to_a_dead_guest_says_so(tmp_path: Path) -> None:
    with fake_machine(tmp_path, "boot = [{ exit = 0 }]") as machine:
        machine.wait_end(Deadline(SOON))
        with pytest.raises(GuestError, match="takes no input"):
            machine.console.send("hello")
