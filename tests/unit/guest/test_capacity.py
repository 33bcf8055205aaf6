# SPDX-License-Identifier: GPL-2.0-only
"""How many guests at a time: by cores, and by memory as it is measured."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import all_archs
from harness.guest.capacity import QEMU_OVERHEAD_MIB, RESERVE_MIB, Capacity
from harness.host import resources
from harness.model.values import GuestSpec

SPEC = GuestSpec(arch=all_archs()[0], kernel=Path("k"), initramfs=Path("i"), ram_mib=128)
PATIENCE_S = 20.0


def test_workers_follow_cores_cpus_and_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "cores", lambda: 8)
    assert Capacity(0, 1).workers == 8
    assert Capacity(0, 4).workers == 2
    assert Capacity(0, 16).workers == 1
    assert Capacity(3, 1).workers == 3


class NoRoom(Exception):
    """A guest has to wait."""


class Host:
    """Memory of a host that is looked at once: who looks again waits for more."""

    def __init__(self) -> None:
        self.free: list[int] = []

    def memory_mib(self) -> int:
        if not self.free:
            raise NoRoom
        return self.free.pop()

    def has_room(self, capacity: Capacity, spec: GuestSpec, mib: int) -> bool:
        """Whether a guest of *spec* starts beside another where *mib* are left to the two."""
        self.free = [RESERVE_MIB + mib]
        try:
            with capacity.place(SPEC), capacity.place(spec):
                return True
        except NoRoom:
            return False


@pytest.mark.parametrize(
    ("measured", "ram_mib", "needs"),
    [
        ((), 128, 2 * (128 + QEMU_OVERHEAD_MIB)),
        ((40, 20), 128, 2 * 50),  # a smaller one does not make the next one smaller
        ((40,), 64, 50 + 64 + QEMU_OVERHEAD_MIB),
    ],
)
def test_place_beside_guest_needs_measured_memory_else_ram(
    measured: tuple[int, ...], ram_mib: int, needs: int
) -> None:
    host = Host()
    capacity = Capacity(2, 1, memory_mib=host.memory_mib)
    for mib in measured:
        with capacity.place(SPEC) as took:
            took(mib)
    beside = replace(SPEC, ram_mib=ram_mib)
    assert host.has_room(capacity, beside, needs)
    assert not host.has_room(capacity, beside, needs - 1)


def test_place_of_first_guest_never_waits() -> None:
    with Capacity(2, 1, memory_mib=lambda: 0).place(SPEC):
        pass


def test_place_without_memory_waits_for_another_guest_to_end() -> None:
    room_for_one = 128 + QEMU_OVERHEAD_MIB + RESERVE_MIB + 1
    capacity = Capacity(2, 1, memory_mib=lambda: room_for_one)
    began, end = threading.Event(), threading.Event()

    def second() -> None:
        began.set()
        with capacity.place(SPEC):
            end.set()

    thread = threading.Thread(target=second)
    with capacity.place(SPEC):
        thread.start()
        assert began.wait(PATIENCE_S)
        assert not end.wait(0.1)
    assert end.wait(PATIENCE_S)
    thread.join()


def test_cgroups_bound_cores_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "a" / "b"
    own.mkdir(parents=True)
    cores, memory = resources.cores(), resources.memory_mib()
    monkeypatch.setattr(resources, "CGROUPS", tmp_path)
    monkeypatch.setattr(resources, "_cgroups", lambda: (own, own.parent))
    assert resources.cores() == cores
    (own / "cpu.max").write_text("max 100000\n")
    (own.parent / "cpu.max").write_text("100000 100000\n")
    (own / "memory.max").write_text(f"{300 << 20}\n")
    (own / "memory.current").write_text(f"{100 << 20}\n")
    assert resources.cores() == 1
    assert resources.memory_mib() == min(200, memory)
    (own / "cpu.max").write_text("50000 100000\n")  # half a core is one, rather than none
    assert resources.cores() == 1
