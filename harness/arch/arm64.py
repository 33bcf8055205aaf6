# SPDX-License-Identifier: GPL-2.0-only
"""64-bit Arm on QEMU's virt machine: boots the flat Image, firmware comes from QEMU itself."""

from __future__ import annotations

from harness.model import Arch

ARCH = Arch(
    name="arm64",
    kernel_arch="arm64",
    debian_arch="arm64",
    triplet="aarch64-linux-gnu",
    host_packages=("qemu-system-arm", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
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
    probe=b"",
    probe_argv=(),
    probe_exit=0,
)
