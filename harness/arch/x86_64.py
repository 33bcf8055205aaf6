# SPDX-License-Identifier: GPL-2.0-only
"""64-bit x86: boots the uncompressed vmlinux through its PVH entry, without a boot loader."""

from __future__ import annotations

from harness.model.values import Arch, Registers

# The probe: a ROM that starts where the processor starts, in real mode, sets up page tables and
# long mode as a kernel does (a KVM that only interprets real mode must not pass), adds up 1 to
# 1000 there over the stack, and writes the sum's low byte to QEMU's exit port.
_PROBE_CODE = bytes.fromhex(
    "fa 31c0 8ed8 8ec0"  # cli; ds = es = 0
    "bf0010 b90018 fc f3ab"  # clear 0x1000-0x3fff
    "c70600100320 c70600200330 c70600308300"  # page tables: the first 2 MiB, mapped as they are
    "66b800100000 0f22d8"  # cr3 = 0x1000
    "66b820000000 0f22e0"  # cr4 = PAE
    "66b9800000c0 0f32 80cc01 0f30"  # EFER.LME
    "2e660f011688ff"  # lgdt [0xff88]
    "66b801000080 0f22c0"  # cr0 = PG | PE
    "66ea59ff0f000800"  # jmp 8:0xfff59, in long mode now
    "b9e8030000 bc00400000 31db"  # ecx = 1000; esp = 0x4000; ebx = 0
    "51 031c24 5a e2f9"  # push rcx; ebx += [rsp]; pop rdx; loop
    "89d8 e6f4 f4 ebfd"  # out 0xf4, bl; halt for ever
    "0f1f440000"  # (padding)
    "0000000000000000 00000000009a2000"  # descriptors: none; 64-bit code
    "0f00 78ff0f00"  # what lgdt reads: limit, address
)
_START = "ea 00ff 00f0"  # at the reset vector: jmp 0xf000:0xff00
_PROBE = bytes(0xFF00) + _PROBE_CODE.ljust(0xF0, b"\0") + bytes.fromhex(_START).ljust(0x10, b"\0")


def _call_target(address: int, before: bytes) -> int | None:
    """Return what ``call rel32`` right before *address* calls; None where there is no such call."""
    if len(before) < 5 or before[-5] != 0xE8:
        return None
    return (address + int.from_bytes(before[-4:], "little", signed=True)) % 2**64


ARCH = Arch(
    name="x86_64",
    kernel_arch="x86_64",
    debian_arch="amd64",
    triplet="x86_64-linux-gnu",
    cross_packages=("gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"),
    qemu_package="qemu-system-x86",
    uname="x86_64",
    elf_machine="EM_X86_64",
    image="vmlinux",
    make_targets=("vmlinux",),
    qemu="qemu-system-x86_64",
    # Without what q35 would have built in and nothing here uses: a disk controller, SMBus, a
    # keyboard, a mouse port of VMware's, a display. No microvm: its guests were seen (on a busy
    # host, under TCG) with a clock that the kernel called unstable.
    machine="q35,sata=off,smbus=off,i8042=off,vmport=off,graphics=off",
    # No "enhanced" REP MOVSB and STOSB: TCG executes them byte by byte, and a kernel that is
    # told of them clears pages and copies with nothing else.
    cpu=(("tcg", "max,-erms"), ("kvm", "host")),
    # qboot only loads what -kernel names; SeaBIOS first looks at every device (1.6 s against
    # 0.8 s to init under TCG), and vmlinux saves the guest its own decompression.
    firmware=("-bios", "qboot.rom"),
    virtio="pci",
    console="ttyS0",
    # A guest that is stuck with interrupts off is sent an NMI, and dies with a backtrace.
    cmdline=("unknown_nmi_panic",),
    # TCG has no TSC deadline, so the kernel would watch the local APIC's timer go by for 0.2 s:
    # the HPET is as exact without. (With more than one CPU it cannot stand in for all of their
    # timers, and the guest would be left without exact ones.) That its interrupt comes need not
    # be tried for 0.01 s. And each of some thousand lock prefixes would be patched away through
    # a mapping of its own, which costs TCG its TLB: 0.07 s.
    lone_cpu_cmdline=("nolapic_timer", "no_timer_check", "noreplace-smp"),
    # Spoken to by port from the moment that the kernel has read its command line; it goes on when
    # the real console is there.
    early_console=("earlycon=uart8250,io,0x3f8,115200n8", "keep_bootcon"),
    ram_at=0,
    text_at=0x100_0000,  # CONFIG_PHYSICAL_START; nothing moves a vmlinux
    registers=Registers(
        counter=("RIP", "EIP"),
        stack=("RSP", "ESP"),
        frame=("RBP", "EBP"),
        link="",
        flags=("RFL", "EFL"),
        privileged="CPL=0",
        masked=(0x200, 0),
        trap_segment=0x10,
        trap_offsets=(4 * 8, 16 * 8),
        trap_entries=(),
        idle=(),  # it waits with interrupts on
        call_target=_call_target,
    ),
    probe=_PROBE,
    probe_argv=("-bios", "{probe}", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    probe_exit=(sum(range(1001)) & 0xFF) << 1 | 1,  # how that device makes an exit status
    max_cpus=255,  # more of them take interrupt remapping, which this machine has not
)
