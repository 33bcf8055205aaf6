# SPDX-License-Identifier: GPL-2.0-only
"""Whose fault it is that a kernel does not boot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.results import BootDeath, Death, Stop
from harness.verdict.boot import Control, boot_fault, boot_missed

HALTED = BootDeath(Death.HALTED, "halted in sort_r", again=True)
OOPS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "#PF: supervisor write access in kernel mode",
    "Oops: 0002 [#1] SMP NOPTI",
    "CPU: 0 PID: 1 Comm: swapper/0 Not tainted 5.10.262 #1",
    "RIP: 0010:demo_write+0x1/0x2",
    "Kernel panic - not syncing: Fatal exception",
)
LOCKUP = (
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [swapper/0:1]",
    "Kernel panic - not syncing: softlockup: hung tasks",
)
PANIC = BootDeath(Death.PANIC, "panic: Fatal exception", console=OOPS)
PROBE_RAN, NO_PROBE = Control(), Control(probe="a probe guest never finished")
OTHER = Control(kernel="position 0")
GIVEN = (Death.RAM, Death.INITRAMFS, Death.INIT)


@pytest.mark.parametrize("control", [PROBE_RAN, OTHER, Control("position 0", probe="it hangs")])
@pytest.mark.parametrize("kind", [kind for kind in Death if kind not in GIVEN])
def test_death_twice_in_the_same_way_on_a_sound_host_is_the_kernels(
    kind: Death, control: Control
) -> None:
    fault = boot_fault(replace(HALTED, kind=kind), control)
    assert fault is not None
    assert (fault.stage, fault.what) == (Stop.BOOT, "does not boot: halted in sort_r")
    assert "twice in the same way" in fault.grounds
    assert (control.kernel or "a probe guest") in fault.grounds


def test_death_is_not_the_kernels_where_no_guest_runs() -> None:
    assert boot_fault(HALTED, NO_PROBE) is None
    why = boot_missed(HALTED, NO_PROBE)
    assert why.endswith("a probe guest does not run on this host either: "
                        "a probe guest never finished")  # fmt: skip


@pytest.mark.parametrize("kind", GIVEN)
def test_what_the_guest_was_given_is_cleared_by_another_kernel_alone(kind: Death) -> None:
    death = BootDeath(kind, "needs more RAM than 40 MiB", again=True)
    assert boot_fault(death, PROBE_RAN) is None
    assert boot_fault(death, OTHER) is not None
    neither = Control(no_kernel="position 0 does not come up with 40M either: no RAM")
    assert boot_missed(death, neither) == (
        "the guest did not come up: needs more RAM than 40 MiB; "
        "position 0 does not come up with 40M either: no RAM"
    )


def test_own_words_of_the_user_are_cleared_by_another_kernel_alone() -> None:
    assert boot_fault(HALTED, Control(only_kernel=True)) is None
    assert boot_fault(HALTED, Control("position 0", only_kernel=True)) is not None
    assert boot_missed(HALTED, Control(only_kernel=True, no_kernel="it hangs too")).endswith(
        "halted in sort_r; it hangs too"
    )


def test_death_that_does_not_come_again_is_nobodys() -> None:
    once = replace(HALTED, again=False, second="it came up")
    assert boot_fault(once, OTHER) is None
    assert boot_missed(once, OTHER) == (
        "the guest did not come up: halted in sort_r; at a second boot, it came up"
    )


def test_oops_counts_if_it_came_once() -> None:
    once = replace(PANIC, second="it came up")
    fault = boot_fault(once, OTHER)
    assert fault is not None
    assert fault.what == "does not always boot: panic: Fatal exception"
    assert "once in two boots (it came up)" in fault.grounds
    assert boot_fault(once, NO_PROBE) is None


def test_kernel_that_never_gets_ready_is_named_by_what_it_complains_of() -> None:
    warning = "WARNING: CPU: 0 PID: 1 at mm/demo.c:77 demo_put+0x31/0x40"
    death = BootDeath(Death.SILENT, "not ready in time", console=(warning,) * 9, again=True)
    fault = boot_fault(death, OTHER)
    assert fault is not None
    assert fault.what == "does not boot: not ready in time, after WARNING in demo_put (mm/demo.c)"
    fault = boot_fault(replace(death, console=("quiet",)), OTHER)
    assert fault is not None
    assert fault.what == "does not boot: not ready in time"


def test_lockup_that_came_once_may_be_the_hosts() -> None:
    assert boot_fault(replace(PANIC, console=LOCKUP, second="it came up"), OTHER) is None
    assert boot_fault(replace(PANIC, console=LOCKUP, again=True), OTHER) is not None
