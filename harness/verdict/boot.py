# SPDX-License-Identifier: GPL-2.0-only
"""Judgement on a kernel that did not come up: its own doing, or the host's.

A kernel is to blame where it dies twice in the same way while the host shows that it runs guests:
another kernel came up in the same guest, or a probe guest ran. What the harness gives a guest (its
RAM, its initramfs) is cleared by another kernel alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.results import BootDeath, Death, KernelFault, Stop
from harness.model.values import SplatKind
from harness.verdict.klog import log_lines
from harness.verdict.splat import find_splats, is_death

# A host that stands still for a while brings these about too.
_OF_TIME = frozenset({SplatKind.LOCKUP, SplatKind.HUNG_TASK, SplatKind.RCU_STALL})


@dataclass(frozen=True)
class Control:
    """What else ran on the host, to tell its faults from the kernel's."""

    kernel: str = ""  # "position 0": a kernel that came up with the same RAM and initramfs
    no_kernel: str = ""  # why no other kernel could be asked, or that it did not come up either
    probe: str = ""  # why the probe guest did not run; "" where it did
    only_kernel: bool = False  # a probe guest says nothing of what this guest was given


def boot_fault(death: BootDeath, control: Control) -> KernelFault | None:
    """Return the fault of a kernel that died before it was ready; None: it is not to blame."""
    if not death.again and not _oops(death):
        return None
    needs_kernel = control.only_kernel or not death.attributable
    if not control.kernel and (control.probe or needs_kernel):
        return None
    times = "twice in the same way" if death.again else f"once in two boots ({death.second})"
    other = f"{control.kernel} came up" if control.kernel else "a probe guest ran"
    word = "does not boot" if death.again else "does not always boot"
    return KernelFault(
        stage=Stop.BOOT,
        what=f"{word}: {death.what}{_complaint(death)}",
        grounds=f"it died {times}, and {other} on this host",
    )


def boot_missed(death: BootDeath, control: Control) -> str:
    """Return why a kernel that died before it was ready has no verdict, as one line."""
    text = f"the guest did not come up: {death.what}"
    if not death.again:
        return f"{text}; at a second boot, {death.second or 'it died in another way'}"
    if control.only_kernel or not death.attributable:
        return f"{text}; {control.no_kernel or 'no other kernel shows that this one is to blame'}"
    return f"{text}; a probe guest does not run on this host either: {control.probe}"


def _complaint(death: BootDeath) -> str:
    """Return what a kernel that goes on and on complained of first, to follow how it died."""
    if death.kind is not Death.SILENT:
        return ""
    splats = find_splats(tuple(log_lines(death.console)))
    return f", after {splats[0].title}" if splats else ""


def _oops(death: BootDeath) -> bool:
    """Say whether the kernel's own complaint ended it, and not a wait that was too long."""
    if death.kind is not Death.PANIC:
        return False
    splats = find_splats(tuple(log_lines(death.console)))
    return any(map(is_death, splats)) and not any(s.kind in _OF_TIME for s in splats)
