# SPDX-License-Identifier: GPL-2.0-only
"""The accelerator that works on this host, found out by running a guest.

/dev/kvm may exist, open, and create a machine, and QEMU then asserts or spins for ever. Only a
program that ran inside tells, so each architecture brings one: a few bytes of machine code that
compute something and then end QEMU with an exit status of their own.
"""

from __future__ import annotations

import functools
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.guest.qemu.argv import Channels, machine_argv
from harness.guest.qemu.process import Qemu, ending, find_emulator
from harness.host.deadline import Deadline, host_speed
from harness.model.errors import UserError
from harness.model.values import AccelChoice, AccelName, Arch

PROBE_S = 5.0  # a probe that works takes a tenth of a second
PROBE_RAM_MIB = 32
KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of a probe guest; ``reason`` is one line where it did not run."""

    ok: bool
    reason: str
    seconds: float


def choose_accel(choice: AccelChoice, arch: Arch) -> tuple[AccelName, str]:
    """Return the accelerator to use, and why it is not the one that was hoped for ("" if it is).

    Raises:
        UserError: KVM was asked for by name, and does not work here.
    """
    if choice == "tcg":
        return "tcg", ""
    result = probe(arch, "kvm")
    if result.ok:
        return "kvm", ""
    if choice == "kvm":
        raise UserError(
            f"KVM does not work here for {arch.name}: {result.reason}",
            hint="use --accel tcg, or --accel auto to take KVM only where it works",
        )
    return "tcg", result.reason


@functools.cache
def probe(arch: Arch, accel: AccelName) -> ProbeResult:
    """Return what :func:`probe_now` found when it was asked first."""
    return probe_now(arch, accel)


def probe_now(arch: Arch, accel: AccelName) -> ProbeResult:
    """Run *arch*'s probe guest under *accel*, and say whether it really executed.

    Takes about 0.1 s where it works, at most a few seconds where it does not.

    Raises:
        InfraError: the emulator is not installed.
    """
    find_emulator(arch.qemu, arch.qemu_package)
    if accel == "kvm" and (why := _no_kvm(arch)):
        return ProbeResult(False, why, 0.0)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kph-probe-") as folder:
        program = Path(folder, "probe")
        program.write_bytes(arch.probe)
        reason = _run(arch, accel, program)
    return ProbeResult(not reason, reason, time.monotonic() - begun)


def _no_kvm(arch: Arch) -> str:
    host = platform.machine()
    if host != arch.uname:
        return f"this host is {host}, and KVM runs only its own kind"
    if not KVM.exists():
        return f"there is no {KVM}"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f"no permission on {KVM} (is this user in the group that owns it?)"
    return ""


def _run(arch: Arch, accel: AccelName, program: Path) -> str:
    """Run the probe and return why it failed, "" where it did not."""

    def command(_: Channels) -> tuple[str, ...]:
        loading = (word.format(probe=program) for word in arch.probe_argv)
        return (*machine_argv(arch, accel), "-m", f"{PROBE_RAM_MIB}M", *loading)

    deadline = Deadline(host_speed().scale(PROBE_S))
    with Qemu(command) as qemu:
        code = qemu.wait(deadline)
        qemu.stop()
        said = qemu.stderr.read().decode("utf-8", "backslashreplace").strip().splitlines()
    if code == arch.probe_exit:
        return ""
    if code is None:
        return f"a probe guest under {accel} never finished ({deadline.seconds:.0f} s)"
    why = f": {said[-1]}" if said else ""
    return f"a probe guest under {accel} ended with {ending(code)}{why}"
