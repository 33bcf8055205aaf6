# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line for a guest."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import all_archs, load_arch
from harness.guest.qemu.argv import (
    SHELL,
    Channels,
    by_hand_script,
    clone_argv,
    clone_words,
    disk_serial,
    gdb_stub_argv,
    kernel_cmdline,
    qemu_argv,
    symbolic_argv,
    trial_argv,
)
from harness.model.values import Arch, GuestSpec

FDS = Channels.of_fds(console=7, agent=8, samples=9, monitor=10)
ARCHS = pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)


def spec(arch: Arch, **changes: object) -> GuestSpec:
    made = GuestSpec(arch=arch, kernel=Path("/k"), initramfs=Path("/i"), ram_mib=96)
    return replace(made, **changes)  # type: ignore[arg-type]


def option(argv: tuple[str, ...], name: str) -> list[str]:
    """Return the values of every option called *name*."""
    return [value for key, value in itertools.pairwise(argv) if key == name]


@ARCHS
def test_argv_follows_spec_and_architecture(arch: Arch) -> None:
    argv = qemu_argv(spec(arch, cpus=2), FDS)
    assert argv[0] == arch.qemu
    assert option(argv, "-machine") == [f"{arch.machine},accel=tcg"]
    assert option(argv, "-cpu") == [dict(arch.cpu)["tcg"]]
    assert option(argv, "-m") == ["96M"]
    assert option(argv, "-smp") == ["2"]
    assert option(argv, "-kernel") == ["/k"]
    assert option(argv, "-initrd") == ["/i"]
    assert "".join(arch.firmware) in "".join(argv)


@ARCHS
def test_argv_under_kvm_has_host_cpu(arch: Arch) -> None:
    argv = qemu_argv(spec(arch, accel="kvm"), FDS)
    assert option(argv, "-machine") == [f"{arch.machine},accel=kvm"]
    assert option(argv, "-cpu") == [dict(arch.cpu)["kvm"]]


@ARCHS
def test_argv_confines_qemu_and_drops_default_devices(arch: Arch) -> None:
    argv = qemu_argv(spec(arch), FDS)
    (sandbox,) = option(argv, "-sandbox")
    assert sandbox.split(",")[0] == "on"
    assert {"spawn=deny", "elevateprivileges=deny", "resourcecontrol=deny"} <= set(
        sandbox.split(",")
    )
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(argv)


@ARCHS
def test_the_four_channels_are_the_inherited_sockets(arch: Arch) -> None:
    argv = qemu_argv(spec(arch), FDS)
    assert option(argv, "-chardev") == [
        "socket,id=console,fd=7",
        "socket,id=agent,fd=8",
        "socket,id=samples,fd=9",
        "socket,id=monitor,fd=10",
    ]
    assert option(argv, "-serial") == ["chardev:console"]
    assert option(argv, "-mon") == ["chardev=monitor,mode=control"]
    assert "virtserialport,chardev=agent,name=harness.agent" in option(argv, "-device")
    assert "virtserialport,chardev=samples,name=harness.samples" in option(argv, "-device")
    assert f"virtio-serial-{arch.virtio},max_ports=3" in option(argv, "-device")


@ARCHS
def test_the_network_is_loopback_in_and_nothing_out(arch: Arch) -> None:
    (netdev,) = option(qemu_argv(spec(arch), FDS), "-netdev")
    assert "restrict=on" in netdev
    assert "hostfwd=tcp:127.0.0.1:0-:22" in netdev


@ARCHS
def test_no_network_where_none_is_wanted(arch: Arch) -> None:
    argv = qemu_argv(spec(arch, network=False), FDS)
    assert option(argv, "-netdev") == []
    assert not any("virtio-net" in device for device in option(argv, "-device"))


def test_a_device_without_a_bus_gets_no_boot_rom_option() -> None:
    argv = qemu_argv(spec(replace(load_arch("arm64"), virtio="device")), FDS)
    assert "virtio-net-device,netdev=net" in option(argv, "-device")


def test_by_hand_the_console_is_the_terminal() -> None:
    argv = qemu_argv(spec(load_arch("arm64")), Channels.by_hand())
    assert option(argv, "-chardev") == [
        "stdio,id=console,mux=on,signal=off",
        "null,id=agent",
        "null,id=samples",
        "null,id=monitor",
    ]


@ARCHS
def test_whatever_is_a_panic_ends_the_guest(arch: Arch) -> None:
    words = kernel_cmdline(spec(arch)).split()
    assert words[0] == f"console={arch.console}"
    assert {"panic=-1", "oops=panic", "softlockup_panic=1", "hung_task_panic=1"} <= set(words)
    assert set(arch.cmdline) <= set(words)


@pytest.mark.parametrize(
    ("changes", "given"), [({}, True), ({"cpus": 2}, False), ({"accel": "kvm"}, False)]
)
def test_argv_of_single_emulated_cpu_has_extra_parameters(
    changes: dict[str, object], given: bool
) -> None:
    arch = load_arch("x86_64")
    assert arch.lone_cpu_cmdline
    words = kernel_cmdline(spec(arch, **changes)).split()
    assert [word in words for word in arch.lone_cpu_cmdline] == [given] * len(arch.lone_cpu_cmdline)


def test_the_users_kernel_parameters_come_last_and_win() -> None:
    words = kernel_cmdline(spec(load_arch("x86_64"), cmdline=("loglevel=4", "nokaslr"))).split()
    assert words[-2:] == ["loglevel=4", "nokaslr"]
    argv = qemu_argv(spec(load_arch("x86_64"), cmdline=("nokaslr",)), FDS)
    assert option(argv, "-append")[0].endswith(" nokaslr")


def test_the_same_spec_gives_the_same_command() -> None:
    made = spec(load_arch("x86_64"))
    assert qemu_argv(made, FDS) == qemu_argv(replace(made), FDS)


@ARCHS
def test_clone_argv_has_template_devices_and_no_kernel(arch: Arch) -> None:
    ram, disk = Path("/a,b/ram"), Path("/d")
    template = qemu_argv(spec(arch, disks_mib=(8,)), FDS, disks=[disk], ram=ram)
    clone = clone_argv(spec(arch, disks_mib=(8,)), FDS, disks=[disk], ram=ram)
    assert option(clone, "-device") == option(template, "-device")
    assert option(clone, "-machine") == option(template, "-machine")
    assert option(clone, "-kernel") == []
    assert option(clone, "-incoming") == ["defer"]
    (shared,), (private,) = option(template, "-object"), option(clone, "-object")
    assert shared.replace("share=on", "share=off") == private != shared
    assert "mem-path=/a,,b/ram" in private
    # What is booted once and for all needs no file for its memory.
    assert option(qemu_argv(spec(arch), FDS), "-object") == []


def test_clone_words_name_the_state_file() -> None:
    said = [words["execute"] for words in clone_words(7)]
    assert said == ["qmp_capabilities", "migrate-set-capabilities", "migrate-incoming"]
    assert clone_words(7)[-1]["arguments"] == {"uri": "fd:7"}


@ARCHS
def test_argv_has_a_device_per_scratch_disk(arch: Arch) -> None:
    argv = qemu_argv(spec(arch, disks_mib=(8, 8)), FDS, disks=[Path("/x,y"), Path("/z")])
    first, second = option(argv, "-drive")
    assert first.startswith("file=/x,,y,if=none,id=scratch-0,format=raw")
    assert second.startswith("file=/z,if=none,id=scratch-1,format=raw")
    blk = f"virtio-blk-{arch.virtio}"
    for number in (0, 1):
        device = f"{blk},drive=scratch-{number},serial={disk_serial(number)}"
        assert device in option(argv, "-device")
    assert option(qemu_argv(spec(arch), FDS), "-drive") == []


@ARCHS
def test_symbolic_argv_is_whole_command_without_host_paths(arch: Arch) -> None:
    told = symbolic_argv(spec(arch))
    assert option(told, "-append") == [kernel_cmdline(spec(arch))]
    assert told == symbolic_argv(spec(arch, kernel=Path("/else/k"), initramfs=Path("/else/i")))
    others = (
        spec(arch, cmdline=("quiet",)),
        spec(arch, ram_mib=128),
        spec(arch, cpus=2),
        spec(arch, accel="kvm"),
        spec(arch, disks_mib=(8,)),
        spec(arch, network=False),
        spec(replace(arch, cmdline=(*arch.cmdline, "nohpet"))),
    )
    assert told not in [symbolic_argv(other) for other in others]


def test_gdb_stub_is_on_a_unix_socket_and_waits_for_nobody() -> None:
    stub = gdb_stub_argv(Path("/tmp/a,b"))
    assert stub == ("-gdb", "unix:/tmp/a,,b,server=on,wait=off")


@ARCHS
def test_words_of_the_users_are_in_guest_clone_and_key(arch: Arch) -> None:
    plain = spec(arch)
    said = spec(arch, cmdline=("a=1", "b"), qemu_args=("-device", "virtio-rng-pci"))
    assert kernel_cmdline(said) == f"{kernel_cmdline(plain)} a=1 b"
    for argv in (
        qemu_argv(said, FDS),
        clone_argv(said, FDS, ram=Path("/ram")),
        trial_argv(said, FDS),
    ):
        assert "virtio-rng-pci" in option(argv, "-device")
    for one in (replace(plain, cmdline=("b",)), replace(plain, qemu_args=("-s",))):
        assert symbolic_argv(one) != symbolic_argv(plain)


@ARCHS
def test_by_hand_script_is_the_guest_with_a_shell_and_nothing_inherited(arch: Arch) -> None:
    guest = spec(arch, kernel=Path("/a b/k"), disks_mib=(8, 16), cmdline=("quiet",))
    *comments, first, second, command, rest = by_hand_script(guest).split("\n")
    assert all(line.startswith("# ") for line in comments)
    assert (first, second, rest) == (
        "truncate -s 8M scratch-0.img",
        "truncate -s 16M scratch-1.img",
        "",
    )
    argv = tuple(shlex.split(command))
    shell = replace(guest, cmdline=("quiet", SHELL))
    disks = [Path("scratch-0.img"), Path("scratch-1.img")]
    assert argv == qemu_argv(shell, Channels.by_hand(), disks=disks)
    assert not any("fd=" in word or word == "-incoming" for word in argv)
