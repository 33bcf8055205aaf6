# SPDX-License-Identifier: GPL-2.0-only
"""64-bit Arm on QEMU's virt machine: boots the flat Image, firmware comes from QEMU itself."""

from __future__ import annotations

from harness.model.values import Arch, Registers

# The probe: adds up 1 to 1000 and, only if the sum is right, asks the firmware to power off
# (PSCI SYSTEM_OFF, which QEMU and KVM both answer on this board).
_PROBE = bytes.fromhex(
    "017d8052 02008052"  # mov w1, #1000; mov w2, #0
    "4200010b 21040071 c1ffff54"  # add w2, w2, w1; subs w1, w1, #1; b.ne back to the add
    "83629452 e300a072"  # mov w3, #500500
    "5f00036b e1ffff54"  # cmp w2, w3; b.ne here: a wrong sum never ends
    "00018052 0080b072"  # mov w0, #0x84000008
    "020000d4 00000014"  # hvc #0; b here
)


def _call_target(address: int, before: bytes) -> int | None:
    """Return what ``bl`` right before *address* calls; None where there is no such call."""
    word = int.from_bytes(before[-4:], "little")
    if len(before) < 4 or word >> 26 != 0b100101:
        return None
    words = (word & 0x3FF_FFFF) - ((word & 0x200_0000) << 1)
    return (address - 4 + 4 * words) % 2**64


ARCH = Arch(
    name="arm64",
    kernel_arch="arm64",
    debian_arch="arm64",
    triplet="aarch64-linux-gnu",
    cross_packages=("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
    qemu_package="qemu-system-arm",
    uname="aarch64",
    elf_machine="EM_AARCH64",
    image="arch/arm64/boot/Image",
    make_targets=("Image",),
    qemu="qemu-system-aarch64",
    machine="virt",
    # Pointer authentication in QEMU's own cheap algorithm: the architected one makes every
    # function call of the guest slow under TCG.
    cpu=(("tcg", "max,pauth-impdef=on"), ("kvm", "host")),
    firmware=(),
    virtio="pci",
    console="ttyAMA0",
    cmdline=(),
    lone_cpu_cmdline=(),
    # Spoken to from the moment that the kernel has read its command line; it goes on when the
    # real console is there. A kernel that moves itself is told not to: its functions are known.
    early_console=("earlycon=pl011,0x9000000", "keep_bootcon", "nokaslr"),
    ram_at=0x4000_0000,
    text_at=0x4020_0000,  # of an Image without text_offset, as they are from 5.8 on
    registers=Registers(
        counter=("PC",),
        stack=("SP",),
        frame=("X29",),
        link="X30",
        flags=("PSTATE",),
        privileged=" EL1",
        masked=(0x80, 0x80),
        trap_segment=0,
        trap_offsets=None,
        trap_entries=("el1_", "el1h_", "el1t_"),
        idle=("cpu_do_idle", "__cpu_do_idle", "arch_cpu_idle", "__arm_smccc_hvc"),
        call_target=_call_target,
    ),
    probe=_PROBE,
    probe_argv=("-kernel", "{probe}"),
    probe_exit=0,
    max_cpus=8,  # of the interrupt controller that this machine has by default
)
