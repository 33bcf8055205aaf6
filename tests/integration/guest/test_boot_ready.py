# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a guest that may never be ready, against a QEMU that plays how it goes."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from harness.guest import processor
from harness.guest.boot_ready import await_ready
from harness.guest.boot_watch import Patience
from harness.guest.machine import Machine
from harness.guest.qemu.argv import qemu_argv
from harness.guest.transport.protocol import Ready
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import BootDeath, Death
from tests.integration.fakeqemu import READY, fake_guest

QUICK = Patience(halted_s=0.7, idle_s=1.4)
HALTED = "CPU#0\\nRIP=ffffffff81000010 RFL=00000002 CPL=0 HLT=1"
IDLE = HALTED.replace("RFL=00000002", "RFL=00000202")


def scenario(*actions: str, registers: str = "", status: str = "running") -> str:
    return (
        f"status = '{status}'\n"
        f"boot = [{', '.join(f'{{ {action} }}' for action in actions)}]\n"
        f'[monitor]\n"info registers -a" = "{registers}"\n'
    )


def wait(
    folder: Path, script: str, *, seconds: float = 10.0, paused: bool = False
) -> Ready | BootDeath:
    spec = fake_guest(folder, script)
    with Machine(partial(qemu_argv, spec), folder) as machine:
        return await_ready(machine, spec, Deadline(seconds), QUICK, paused=paused)


def test_guest_that_sleeps_with_interrupts_off_is_halted(tmp_path: Path) -> None:
    dead = wait(tmp_path, scenario('console = "one\\r\\n"', registers=HALTED))
    assert isinstance(dead, BootDeath)
    assert (dead.kind, dead.what, dead.console) == (Death.HALTED, "halted", ("one",))
    assert "RIP=ffffffff81000010" in dead.registers
    assert not dead.early_log


def test_guest_that_sleeps_with_interrupts_on_is_given_longer(tmp_path: Path) -> None:
    dead = wait(tmp_path, scenario(registers=IDLE))
    assert isinstance(dead, BootDeath)
    assert dead.kind is Death.IDLE
    script = scenario("nap = 1.0", f"agent = '{READY}'", registers=IDLE)
    assert isinstance(wait(tmp_path, script), Ready)


def test_guest_that_says_something_now_and_then_lives(tmp_path: Path) -> None:
    words = ("nap = 0.5", 'console = "."') * 5
    assert isinstance(
        wait(tmp_path, scenario(*words, f"agent = '{READY}'", registers=HALTED)), Ready
    )
    words = ("nap = 0.5", 'agent = "kmsg 6,{seq},1;x"') * 5
    assert isinstance(
        wait(tmp_path, scenario(*words, f"agent = '{READY}'", registers=HALTED)), Ready
    )


def test_emulator_that_is_stopped_is_not_halted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "ANSWER_S", 0.2)
    spec = fake_guest(tmp_path, scenario(registers=HALTED))
    with Machine(partial(qemu_argv, spec), tmp_path) as machine:
        os.kill(machine.pid, signal.SIGSTOP)
        dead = await_ready(machine, spec, Deadline(2.0), QUICK)
    assert isinstance(dead, BootDeath)
    assert (dead.kind, dead.what) == (Death.SILENT, "not ready in time")


def test_guest_that_a_person_holds_is_not_dead(tmp_path: Path) -> None:
    dead = wait(tmp_path, scenario(registers=HALTED, status="debug"), seconds=2.5)
    assert isinstance(dead, BootDeath)
    assert dead.kind is Death.SILENT


def test_emulator_without_registers_is_idle_at_most(tmp_path: Path) -> None:
    dead = wait(tmp_path, scenario(registers="no such command"))
    assert isinstance(dead, BootDeath)
    assert dead.kind is Death.IDLE


def test_emulator_that_pauses_has_reset(tmp_path: Path) -> None:
    script = scenario('console = "so far\\r\\n"', registers=HALTED, status="shutdown")
    dead = wait(tmp_path, script, paused=True)
    assert isinstance(dead, BootDeath)
    assert (dead.kind, dead.early_log) == (Death.RESET, ("so far",))
    assert "RIP=" in dead.registers


def test_emulator_that_says_triple_fault_has_seen_one(tmp_path: Path) -> None:
    script = scenario('stderr = "Triple fault\\n"', registers=HALTED, status="shutdown")
    dead = wait(tmp_path, script, paused=True)
    assert isinstance(dead, BootDeath)
    assert dead.kind is Death.TRIPLE_FAULT


def test_kernel_that_does_not_fit_needs_more_ram(tmp_path: Path) -> None:
    script = scenario('stderr = "qemu: too large\\n"', "exit = 1")
    with pytest.raises(GuestError, match="too large"):
        wait(tmp_path, script)
    text = "ffffffff81000000 T _text\nffffffff8{}00000 B _end\n"
    (tmp_path / "System.map").write_text(text.format("50"))  # 80 of 64 MiB
    dead = wait(tmp_path, script)
    assert isinstance(dead, BootDeath)
    assert (dead.kind, dead.attributable) == (Death.RAM, False)
    (tmp_path / "System.map").write_text(text.format("20"))
    with pytest.raises(GuestError, match="too large"):
        wait(tmp_path, script)
