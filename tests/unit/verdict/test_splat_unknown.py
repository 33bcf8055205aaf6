# SPDX-License-Identifier: GPL-2.0-only
"""Complaints without a rule of their own: none goes by, whatever ordinary line stands before it."""

from __future__ import annotations

import pytest

from harness.model.values import SplatKind
from harness.verdict.log_facts import read_log

DUMP = (
    "CPU: 0 PID: 77 Comm: demo Not tainted 5.10.262 #1",
    "Hardware name: linux,dummy-virt (DT)",
    "Call trace:",
    " dump_backtrace+0x0/0x1a0",
    " show_stack+0x18/0x24",
    " demo_fn+0x10/0x20",
    " kthread+0x10/0x20",
)
USER_REGISTERS = (
    "CPU: 0 PID: 77 Comm: demo Not tainted 5.10.262 #1",
    "Hardware name: linux,dummy-virt (DT)",
    "pstate: 60001000 (nZCv daif -PAN -UAO)",
    "pc : 0000aaaae0a00700",
    "sp : 0000ffffcd7b1a50",
)


def kinds(*lines: str) -> list[SplatKind]:
    return [splat.kind for splat in read_log(lines).splats]


@pytest.mark.parametrize("gap", [0, 1, 3, 4, 5, 8, 20])
@pytest.mark.parametrize(
    "head",
    [
        "crash[12]: segfault at 0 ip 0 sp 0 error 4 in x[1+2]",
        "demo[3]: unhandled exception: DABT (lower EL), ESR 0x92000006, in demo[1+2]",
        "potentially unexpected fatal signal 11.",
        "sysrq: HELP : loglevel(0-9) reboot(b)",
        "sysrq: Emergency Sync",
        "sysrq: Changing Loglevel",
        "Mem-Info:",
    ],
)
def test_dump_behind_an_ordinary_line_is_a_complaint(head: str, gap: int) -> None:
    others = [f"foo: {number}" for number in range(gap)]
    assert kinds(head, *others, "mydrv: ring is wedged", *DUMP) == [SplatKind.UNCLASSIFIED]
    assert kinds(head, *DUMP) == [SplatKind.UNCLASSIFIED]


@pytest.mark.parametrize(
    "lines",
    [
        ("demo[3]: unhandled exception: DABT (lower EL)", *USER_REGISTERS),
        ("potentially unexpected fatal signal 11.", *USER_REGISTERS),
        ("demo[3]: segfault at 0 ip 0 sp 0 error 4", "Code: 0f 1f 84"),
        ("FAULT_INJECTION: forcing a failure.", "name failslab, interval 1", *DUMP),
        ("FAULT_INJECTION: forcing a failure.", "foo: bar", *DUMP),
        ("sysrq: Show Regs", *DUMP),
        (
            "sysrq: Show Blocked State",
            "  task   PC stack   pid father",
            "task:a state:D",
            *DUMP[2:],
        ),
    ],
)
def test_dump_that_its_head_explains_is_none(lines: tuple[str, ...]) -> None:
    assert kinds(*lines) == []


@pytest.mark.parametrize(
    "line",
    [
        "XFS (vda): Corruption of in-memory data detected.  Shutting down filesystem",
        "XFS (vda): xfs_do_force_shutdown(0x8) called from line 1",
        "XFS (vda): log I/O error -5",
        "XFS: demo(77) possible memory allocation deadlock size 4096 in kmem_alloc (mode:0x2c40)",
        "EXT4-fs error (device vda): ext4_lookup:1611: inode #2: comm ls: deleted inode",
        "EXT4-fs (vda): Remounting filesystem read-only",
        "EXT4-fs (vda): This should not happen!! Data will be lost",
        "BTRFS critical (device vda): corrupt leaf: root=1",
        "JBD2: Spotted dirty metadata buffer (dev = vda, blocknr = 1)",
        "JBD2: Detected IO errors while flushing file data on vda-8",
        "Aborting journal on device vda-8.",
        "Buffer I/O error on dev vda, logical block 12, lost async page write",
        "blk_update_request: I/O error, dev vda, sector 12 op 0x1:(WRITE)",
        "Write-error on swap-device (254:0:8)",
        "zram: Decompression failed! err=-22, page=7",
        "xhci_hcd 0000:00:14.0: BUG: bad desc",
        "smp: csd: Detected non-responsive CSD lock (#1) on CPU#1",
        "sysctl duplicate entry: /kernel//demo",
        "debugfs: Directory 'x' with parent 'y' already present!",
        "Error: Driver 'demo' is already registered, aborting...",
        "IPv4: Attempt to release TCP socket in state 1 00000000",
        "Dead loop on virtual device lo, fix it urgently!",
    ],
)
def test_complaint_of_one_line_is_one(line: str) -> None:
    assert kinds("usual: words", line, "usual: more") == [SplatKind.UNCLASSIFIED]


@pytest.mark.parametrize(
    "line",
    [
        "EXT4-fs (vda): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
        "EXT4-fs (vda): re-mounted. Opts: (null)",
        "XFS (vda): Mounting V5 Filesystem",
        "XFS (vda): Ending clean mount",
        "XFS (vda): Unmounting Filesystem",
        "XFS (vda): Starting recovery (logdev: internal)",
        "BTRFS info (device vda): disk space caching is enabled",
        "virtio_blk virtio2: [vda] 131072 512-byte logical blocks",
        "sysrq: Emergency Sync complete",
        "usb 1-1: device descriptor read/64, error -71",
    ],
)
def test_ordinary_line_is_none(line: str) -> None:
    assert kinds(line) == []
