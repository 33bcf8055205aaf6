# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels that die at boot: broken by a few bytes at a function, without a build."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness.arch import arch_names, load_arch
from harness.guest.boot_examination import CAME_UP, examine
from harness.guest.capacity import Capacity
from harness.guest.guest import BootFailure, boot
from harness.guest.processor import system_map
from harness.guest.template import Templates
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec, Plan
from harness.run.artifacts import boot_artifacts, guest_spec, make_kernel
from harness.run.prepare import prepare
from harness.run.workspace import Workspace

# Called by start_kernel before any console speaks.
EARLY = "time_init"
# Machine code that is put there.
HALTS = {
    "x86_64": "fa f4 ebfc",  # cli; hlt; again
    "arm64": "7f2003d5 ffffff17",  # wfi; again
}
SPINS = {"x86_64": "ebfe", "arm64": "00000014"}  # jump to itself
COUNTS = {
    "x86_64": "48ffc0 ebfb",  # inc rax; again
    "arm64": "00040091 ffffff17",  # add x0, x0, #1; again
}
TRAPS = {"x86_64": "0f0b", "arm64": "000020d4"}  # ud2, brk
JUMPS = {"x86_64": "31c0 ffe0", "arm64": "000080d2 00001fd6"}  # to address 0
# An interrupt without any handler for it: a table of none is loaded before.
FAULTS = "4883ec10 48c7042400000000 c744240800000000 0f011c24 cc"


@pytest.fixture(scope="module", params=arch_names())
def sound(request: pytest.FixtureRequest, workspace: Workspace) -> GuestSpec:
    """A guest that boots, of each architecture."""
    arch = load_arch(request.param)
    plan = Plan(arch=(arch.name,), positions=(4,))
    ready = prepare(plan, workspace)
    bench = boot_artifacts(ready, arch, make_kernel(ready, arch, 4, workspace), workspace)
    return guest_spec(plan, arch, bench, 128, "tcg")


def offset_of(spec: GuestSpec, function: str) -> int:
    """Return where *function* begins in *spec*'s kernel file."""
    symbols = system_map(spec)
    assert symbols is not None
    address, start = symbols.address(function), symbols.address("_text")
    assert address is not None
    assert start is not None
    with spec.kernel.open("rb") as file:
        if file.read(4) != b"\x7fELF":  # a flat image
            return address - start
        for part in ELFFile(file).iter_segments("PT_LOAD"):
            if 0 <= address - part["p_vaddr"] < part["p_filesz"]:
                return int(part["p_offset"] + address - part["p_vaddr"])
    raise AssertionError(f"{function} is in no part of {spec.kernel}")


def broken(spec: GuestSpec, folder: Path, code: str, function: str = EARLY) -> GuestSpec:
    """Return *spec* with a kernel that has *code*, in hex, in place of *function*."""
    raw = bytearray(spec.kernel.read_bytes())
    at, new = offset_of(spec, function), bytes.fromhex(code)
    raw[at : at + len(new)] = new
    kernel = folder / "kernel" / spec.kernel.name
    kernel.parent.mkdir()
    kernel.write_bytes(raw)
    shutil.copy(spec.kernel.with_name("System.map"), kernel.with_name("System.map"))
    return replace(spec, kernel=kernel, content="")


def death_of(spec: GuestSpec, folder: Path) -> BootDeath:
    """Boot *spec* twice, which must die, and return what was found."""
    with pytest.raises(BootFailure) as caught, boot(spec, folder / "cell"):
        pass
    death = examine(spec, caught.value.death, folder / "cell")
    assert death.again, death.second
    assert caught.value.death.what in str(caught.value)
    assert death.what in (folder / "cell" / "registers.txt").read_text()
    return death


def functions(death: BootDeath) -> list[str]:
    return [frame.symbol.partition("+")[0] for frame in death.frames]


def test_kernel_that_halts_in_silence(sound: GuestSpec, tmp_path: Path) -> None:
    death = death_of(broken(sound, tmp_path, HALTS[sound.arch.name]), tmp_path)
    assert (death.kind, death.attributable) == (Death.HALTED, True)
    assert death.what == "halted in time_init, called from start_kernel"
    assert functions(death)[:2] == ["time_init", "start_kernel"]
    assert death.frames[0].exact
    assert death.console == ()
    assert any("Linux version" in line for line in death.early_log)


@pytest.mark.parametrize("code", [SPINS, COUNTS], ids=["tight", "counting"])
def test_kernel_that_spins_in_silence(
    sound: GuestSpec, tmp_path: Path, code: dict[str, str]
) -> None:
    death = death_of(broken(sound, tmp_path, code[sound.arch.name]), tmp_path)
    assert (death.kind, death.attributable) == (Death.SPINNING, True)
    assert death.what == "spinning in time_init, called from start_kernel"


def test_kernel_that_traps_in_silence(sound: GuestSpec, tmp_path: Path) -> None:
    death = death_of(broken(sound, tmp_path, TRAPS[sound.arch.name]), tmp_path)
    assert death.kind is Death.PANIC
    assert death.what.startswith("panic: ")
    assert "by an exception in time_init" in death.what
    assert "panic" not in functions(death)
    assert death.console == ()
    assert any("Kernel panic" in line for line in death.early_log)


def test_kernel_that_jumps_to_nowhere(sound: GuestSpec, tmp_path: Path) -> None:
    death = death_of(broken(sound, tmp_path, JUMPS[sound.arch.name]), tmp_path)
    assert death.kind is Death.PANIC
    assert death.attributable


def test_kernel_that_dies_before_it_has_a_stack(sound: GuestSpec, tmp_path: Path) -> None:
    spec = broken(sound, tmp_path, SPINS[sound.arch.name], "start_kernel")
    death = death_of(spec, tmp_path)
    assert death.kind is Death.SPINNING
    assert death.what.startswith("spinning in start_kernel")


def test_kernel_that_faults_three_times(sound: GuestSpec, tmp_path: Path) -> None:
    if sound.arch.name != "x86_64":
        pytest.skip("no such thing elsewhere")
    death = death_of(broken(sound, tmp_path, FAULTS, "setup_arch"), tmp_path)
    assert (death.kind, death.attributable) == (Death.TRIPLE_FAULT, True)
    assert death.what.startswith("triple fault in setup_arch")


def test_kernel_with_too_little_ram(sound: GuestSpec, tmp_path: Path) -> None:
    death = death_of(replace(sound, ram_mib=8), tmp_path)
    assert (death.kind, death.attributable) == (Death.RAM, False)
    assert death.what == "needs more RAM: kernel and initramfs do not fit into 8 MiB"


def test_initramfs_of_garbage(sound: GuestSpec, tmp_path: Path) -> None:
    garbage = tmp_path / "initramfs"
    garbage.write_bytes(bytes(range(256)) * 4000)
    death = death_of(replace(sound, initramfs=garbage), tmp_path)
    assert (death.kind, death.attributable) == (Death.INITRAMFS, False)
    assert "Initramfs unpacking failed" in death.what


def test_kernel_without_init(sound: GuestSpec, tmp_path: Path) -> None:
    death = death_of(replace(sound, cmdline=("rdinit=/bin/false",)), tmp_path)
    assert (death.kind, death.attributable) == (Death.INIT, False)


def test_kernel_that_came_up_the_second_time(sound: GuestSpec) -> None:
    first = BootDeath(Death.HALTED, "halted in time_init", seconds=1.0)
    death = examine(sound, first)
    assert (death.what, death.again, death.second) == (first.what, False, CAME_UP)


def test_dead_kernel_is_examined_once_for_all_its_cells(
    sound: GuestSpec, tmp_path: Path, workspace: Workspace
) -> None:
    spec = replace(broken(sound, tmp_path, HALTS[sound.arch.name]), content="dead")
    templates = Templates(workspace.store, Capacity(1, 1))
    failures = []
    for name in ("a", "b"):
        with pytest.raises(BootFailure) as caught, templates.guest(spec, tmp_path / name):
            pass
        failures.append(caught.value)
        assert "time_init" in (tmp_path / name / "registers.txt").read_text()
    assert failures[0] is failures[1]
    assert failures[0].death.again
