# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are played by the fake QEMU, for tests of everything that drives a guest."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.arch import load_arch
from harness.guest.machine import Machine
from harness.guest.qemu.argv import qemu_argv
from harness.model.values import Arch, GuestSpec, GuestTest

PROGRAM = Path(__file__).with_name("fakeqemu.py")

READY = "ready proto=1 release=5.10.0-fake mem_total_kb=120000 mem_free_kb=100000 spin_us=10000"

# A guest that boots, and answers whatever needs no answer of its own.
BOOTS = f"""
boot = [
    {{ console = "[    0.000000] Linux version 5.10.0-fake\\r\\n" }},
    {{ console = "[    0.500000] Run /init as init process\\r\\n" }},
    {{ agent = "{READY}" }},
]
"""

TEST = GuestTest(
    name="sweep",
    folder=Path("sweep"),
    summary="",
    module="sweep_test",
    suite="sweep",
    params=("sizes=1,2",),
    timeout_s=20.0,
)

# It goes well.
PASSES = """
insmod = [
    { agent = "kmsg 6,{seq},2000000;# Subtest: sweep" },
    { agent = "kmsg 6,{seq},2000001;# a: EXPECTATION FAILED\\\\x0a    Expected 1" },
    { agent = "kmsg 6,{seq},2000002;ok 1 - a" },
    { agent = "end {id} exit:0 ms=3" },
]
"""


def on(table: str, head: str = "") -> str:
    """Return a scenario that boots and then plays *table*."""
    return f"{head}\n{BOOTS}\n[on]\n{table}"


def fake_arch(folder: Path) -> Arch:
    """Return an architecture whose emulator is the fake one, run by this very Python."""
    emulator = folder / "fake-qemu"
    # Isolated from the environment: starts in a third of the time.
    emulator.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{PROGRAM}" "$@"\n')
    emulator.chmod(0o755)
    return replace(load_arch("x86_64"), qemu=str(emulator), qemu_package="fake-qemu")


def fake_guest(folder: Path, scenario: str) -> GuestSpec:
    """Return a guest that plays *scenario*; see fakeqemu.py for what that may say."""
    script = folder / "scenario.toml"
    script.write_text(scenario)
    return GuestSpec(
        arch=fake_arch(folder),
        kernel=script,
        initramfs=folder / "initramfs",
        ram_mib=64,
        content=scenario,
    )


def fake_machine(folder: Path, scenario: str) -> Machine:
    """Return a machine that plays *scenario*, switched on."""
    return Machine(partial(qemu_argv, fake_guest(folder, scenario)), folder)
