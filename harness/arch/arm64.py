# SPDX-License-Identifier: GPL-2.0-only
"""64-bit Arm on QEMU's virt machine: boots the flat Image, firmware comes from QEMU itself."""

from __future__ import annotations

from harness.model.values import Arch

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
    probe=_PROBE,
    probe_argv=("-kernel", "{probe}"),
    probe_exit=0,
    max_cpus=8,  # of the interrupt controller that this machine has by default
)
