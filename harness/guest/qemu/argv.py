# SPDX-License-Identifier: GPL-2.0-only
"""From a guest's description to QEMU's command line; pure.

Every guest has four channels: the serial console, a virtio-serial port for results, another for
samples of its memory, and QMP.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.model.values import AccelName, Arch, GuestSpec

# The names by which PID 1 and its sampler find their ports.
AGENT_PORT, SAMPLES_PORT = "harness.agent", "harness.samples"
SHELL = "harness.shell"  # kernel parameter: PID 1 opens a shell on the console
SSH_PORT = 22  # of the SSH server inside the guest
# A guest kernel is what we test, so it may be broken in any way: QEMU itself gets no right
# that emulating does not need.
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
IGNORE_SHARED = {"capabilities": [{"capability": "x-ignore-shared", "state": True}]}


@dataclass(frozen=True)
class Channels:
    """The back ends of a guest's channels, each as ``-chardev`` wants it, without id."""

    console: str
    agent: str
    samples: str
    monitor: str

    @classmethod
    def of_fds(cls, console: int, agent: int, samples: int, monitor: int) -> Channels:
        """Return back ends on sockets that QEMU inherits under these numbers."""
        return cls(*(f"socket,fd={fd}" for fd in (console, agent, samples, monitor)))

    @classmethod
    def by_hand(cls, log: Path | None = None) -> Channels:
        """Return back ends for a person: the console on the terminal (Ctrl-A x ends it).

        All that it prints is in the file *log* too.
        """
        kept = f",logfile={_value(log)}" if log is not None else ""
        return cls(f"stdio,mux=on,signal=off{kept}", "null", "null", "null")


def qemu_argv(
    spec: GuestSpec, channels: Channels, *, disks: Sequence[Path] = (), ram: Path | None = None
) -> tuple[str, ...]:
    """Return the command that boots *spec* with its channels on *channels*.

    *disks* are the files behind its scratch disks. With *ram* the guest's memory
    is that file, as it has to be for clones to be made of it.
    """
    return (
        *_board_argv(spec, channels, disks, ram, share=True),
        *("-kernel", str(spec.kernel), "-initrd", str(spec.initramfs)),
        *("-append", kernel_cmdline(spec)),
    )


def by_hand_script(spec: GuestSpec) -> str:
    """Return a shell script that boots *spec* for a person, with a shell on its console.

    Its scratch disks are files of the working folder, which the script makes.
    """
    shell = replace(spec, cmdline=(*spec.cmdline, SHELL))
    disks = [Path(f"{disk_serial(number)}.img") for number in range(len(spec.disks_mib))]
    made = [f"truncate -s {mib}M {disk}" for disk, mib in zip(disks, spec.disks_mib, strict=True)]
    return "\n".join(
        (
            "# The same kernel, initramfs and machine, booted by hand: sh argv-by-hand.txt",
            f"# The shell is on the guest's console, by {SHELL} on the kernel's command line; "
            "Ctrl-A x ends it.",
            *made,
            shlex.join(qemu_argv(shell, Channels.by_hand(), disks=disks)),
            "",
        )
    )


def gdb_stub_argv(socket: Path) -> tuple[str, ...]:
    """Return the part that lets gdb attach at the unix socket *socket*, which QEMU makes."""
    return ("-gdb", f"unix:{_value(socket)},server=on,wait=off")


def symbolic_argv(spec: GuestSpec, *, ram: Path | None = None) -> tuple[str, ...]:
    """Return the command that boots *spec*, the same wherever its files lie.

    Part of every key of something that was seen in a guest: no argument and no kernel parameter
    can change, here or in an architecture, and what was seen before be taken for it.
    """
    symbolic = replace(spec, kernel=Path("kernel"), initramfs=Path("initramfs"))
    disks = [Path(f"disk of {mib} MiB") for mib in spec.disks_mib]
    return qemu_argv(symbolic, Channels("", "", "", ""), disks=disks, ram=ram)


def clone_argv(
    spec: GuestSpec, channels: Channels, *, disks: Sequence[Path] = (), ram: Path
) -> tuple[str, ...]:
    """Return the command of a guest that goes on where another, of the same *spec*, was left.

    Its memory is a private mapping of *ram*: what it writes is its own. It waits until the
    monitor is told where the devices' state is (:func:`clone_words`).
    """
    return (*_board_argv(spec, channels, disks, ram, share=False), "-incoming", "defer")


def clone_words(state_fd: int) -> tuple[dict[str, object], ...]:
    """Return what a clone's monitor is told, in order, to take its state from *state_fd*.

    ``x-ignore-shared``: RAM that is a shared file is not part of the state. The same is said
    when the state is saved; QEMU 7.2 knows the capability by this name, and later ones still do.
    """
    return (
        {"execute": "qmp_capabilities", "id": "clone"},
        {"execute": "migrate-set-capabilities", "arguments": IGNORE_SHARED, "id": "clone"},
        {"execute": "migrate-incoming", "arguments": {"uri": f"fd:{state_fd}"}, "id": "clone"},
    )


def _board_argv(
    spec: GuestSpec, channels: Channels, disks: Sequence[Path], ram: Path | None, *, share: bool
) -> tuple[str, ...]:
    """Return all that a guest and its clones must have in common, in the same order."""
    options = ""
    memory: tuple[str, ...] = ("-m", f"{spec.ram_mib}M", "-smp", str(spec.cpus))
    if ram is not None:
        options = ",memory-backend=ram"
        shared = "on" if share else "off"
        back_end = f"memory-backend-file,id=ram,size={spec.ram_mib}M,mem-path={_value(ram)}"
        memory += ("-object", f"{back_end},share={shared}")
    return (
        *machine_argv(spec.arch, spec.accel, options),
        *memory,
        *spec.arch.firmware,
        *_channel_argv(spec.arch, channels),
        *(_network_argv(spec.arch) if spec.network else ()),
        *(word for n, disk in enumerate(disks) for word in _disk_argv(spec.arch, n, disk)),
        *spec.qemu_args,
    )


def trial_argv(spec: GuestSpec, channels: Channels) -> tuple[str, ...]:
    """Return the command of a guest without a kernel, which never runs: QEMU takes it, or not."""
    return (*_board_argv(spec, channels, (), None, share=True), "-S")


def machine_argv(arch: Arch, accel: AccelName, options: str = "") -> tuple[str, ...]:
    """Return the part that guests and probes of an accelerator share: no device but the board's.

    *options* are further ones of the machine, each after a comma.
    """
    return (
        *(arch.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX),
        *("-machine", f"{arch.machine},accel={accel}{options}"),
        *("-cpu", dict(arch.cpu)[accel]),
    )


def kernel_cmdline(spec: GuestSpec) -> str:
    """Return the kernel's command line.

    A panic, and whatever should be one, ends the guest at once: ``panic=-1`` resets, and
    ``-no-reboot`` turns the reset into QEMU's exit.
    """
    return " ".join(
        (
            f"console={spec.arch.console}",
            *("panic=-1", "oops=panic", "softlockup_panic=1", "hung_task_panic=1"),
            # All but debug messages on the console: it is the only witness when a guest dies
            # before PID 1 forwards the log. Costs a boot about 0.05 s under TCG.
            "loglevel=7",
            "printk.time=1",
            # PID 1 marks in the log where a test begins and ends; the default limits it to ten
            # lines in five seconds.
            "printk.devkmsg=on",
            # Since 6.1 KUnit runs nothing unless it is told to here or by an option that older
            # kernels do not have, so that no fragment can ask for it.
            "kunit.enable=1",
            # The same again in a second parameter, which 7.2 has and 6.12 has not.
            "kunit.autorun=1",
            *spec.arch.cmdline,
            *(spec.arch.lone_cpu_cmdline if spec.accel == "tcg" and spec.cpus == 1 else ()),
            *spec.cmdline,
        )
    )


def _channel_argv(arch: Arch, channels: Channels) -> tuple[str, ...]:
    return (
        *("-chardev", _chardev("console", channels.console), "-serial", "chardev:console"),
        *("-chardev", _chardev("agent", channels.agent)),
        *("-chardev", _chardev("samples", channels.samples)),
        # Port 0 is kept for a console by the protocol; each further one costs the guest two
        # queues, and the default is 31.
        *("-device", f"virtio-serial-{arch.virtio},max_ports=3"),
        *("-device", f"virtserialport,chardev=agent,name={AGENT_PORT}"),
        *("-device", f"virtserialport,chardev=samples,name={SAMPLES_PORT}"),
        *("-chardev", _chardev("monitor", channels.monitor)),
        *("-mon", "chardev=monitor,mode=control"),
    )


def _chardev(name: str, back_end: str) -> str:
    kind, comma, options = back_end.partition(",")
    return f"{kind},id={name}{comma}{options}"


def _network_argv(arch: Arch) -> tuple[str, ...]:
    # restrict=on: nothing leaves the guest but answers to the forwarded port. Port 0: the
    # host's kernel chooses a free one, and QMP tells which, so no two guests can collide.
    netdev = f"user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:{SSH_PORT}"
    # No boot ROM: Debian ships it in a package of its own that nothing here needs.
    no_rom = ",romfile=" if arch.virtio == "pci" else ""
    return ("-netdev", netdev, "-device", f"virtio-net-{arch.virtio},netdev=net{no_rom}")


def disk_serial(number: int) -> str:
    """Return the serial number of disk *number*; a kernel may name disks as it likes."""
    return f"scratch-{number}"


def _disk_argv(arch: Arch, number: int, disk: Path) -> tuple[str, ...]:
    # cache=unsafe: a scratch disk dies with its guest, so nobody waits for the host's disk.
    name = disk_serial(number)
    drive = f"file={_value(disk)},if=none,id={name},format=raw,cache=unsafe,discard=unmap"
    return ("-drive", drive, "-device", f"virtio-blk-{arch.virtio},drive={name},serial={name}")


def _value(path: Path) -> str:
    """Return *path* as the value of an option: a comma in it would end it."""
    return str(path).replace(",", ",,")
