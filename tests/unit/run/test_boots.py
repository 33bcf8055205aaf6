# SPDX-License-Identifier: GPL-2.0-only
"""Boots of a run's kernels: what clears the host, and what is asked once only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.arch import load_arch
from harness.guest.guest import BootFailure
from harness.guest.qemu.accel import ProbeResult
from harness.model.results import BootDeath, Death
from harness.model.values import GuestSpec
from harness.run import boots
from harness.run.boots import Boots, NoBoot

SPEC = GuestSpec(
    arch=load_arch("x86_64"),
    kernel=Path("/k/11/bzImage"),
    initramfs=Path("/i/initramfs"),
    ram_mib=96,
    cpus=1,
    accel="tcg",
    content="eleven",
)
HALTED = BootDeath(Death.HALTED, "halted in sort_r", again=True, early_log=("early words",))
NO_RAM = BootDeath(Death.RAM, "needs more RAM than 96 MiB", again=True)


class Asked:
    """Counts what was asked of the host and of other kernels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, guests: bool = True) -> None:
        self.probes = self.witnesses = 0
        self.other = "position 0"
        self.guests = guests
        self.specs: list[GuestSpec] = []
        monkeypatch.setattr(boots, "probe_now", self._probe)
        templates: Any = self
        self.boots = Boots(templates)

    def _probe(self, *_: object) -> ProbeResult:
        self.probes += 1
        return ProbeResult(self.guests, "" if self.guests else "no guest runs", 0.1)

    def witness(self, _: GuestSpec) -> tuple[str, str]:
        self.witnesses += 1
        return self.other, "" if self.other else "position 0 does not come up either"

    def guest(self, spec: GuestSpec, _: Path) -> None:
        self.specs.append(spec)

    def judged(self, death: BootDeath, spec: GuestSpec = SPEC) -> NoBoot:
        return self.boots.judge(spec, BootFailure(death), self.witness, None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def test_probe_guest_clears_the_host_where_no_kernel_came_up(asked: Asked) -> None:
    fault = asked.judged(HALTED).fault
    assert fault is not None
    assert fault.what == "does not boot: halted in sort_r"
    assert "early words" in fault.detail
    assert (asked.probes, asked.witnesses) == (1, 0)


def test_kernel_that_came_up_clears_the_host_without_a_probe(asked: Asked) -> None:
    asked.boots.came_up(replace(SPEC, kernel=Path("/k/10/bzImage"), content="ten"), "position 10")
    fault = asked.judged(HALTED).fault
    assert fault is not None
    assert "position 10 came up" in fault.grounds
    assert asked.judged(NO_RAM, replace(SPEC, content="twelve")).fault is not None
    assert (asked.probes, asked.witnesses) == (0, 0)


@pytest.mark.parametrize(
    "other", [{"ram_mib": 128}, {"cpus": 2}, {"initramfs": Path("/j")}, {"cmdline": ("x",)}]
)
def test_kernel_that_came_up_in_another_guest_says_nothing(
    asked: Asked, other: dict[str, Any]
) -> None:
    asked.boots.came_up(replace(SPEC, content="ten", **other), "position 10")
    assert asked.judged(HALTED).fault is not None
    assert asked.probes == 1


def test_disks_make_no_other_guest(asked: Asked) -> None:
    asked.boots.came_up(replace(SPEC, content="ten", disks_mib=(64,)), "position 10")
    asked.judged(HALTED)
    assert asked.probes == 0


def test_kernel_is_judged_once_for_all_its_cells(asked: Asked) -> None:
    first = asked.judged(HALTED)
    assert asked.judged(HALTED, replace(SPEC, disks_mib=(64,))) is first
    assert asked.probes == 1
    asked.boots.guest(replace(SPEC, disks_mib=(8,)), Path())
    asked.boots.guest(replace(SPEC, content="other"), Path())
    assert asked.specs == [SPEC, replace(SPEC, content="other")], "booted no more than once"


def test_host_that_runs_no_guest_leaves_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = Asked(monkeypatch, guests=False).judged(HALTED)
    assert judged.fault is None
    assert "no guest runs" in judged.why


def test_what_the_guest_was_given_takes_another_kernel(asked: Asked) -> None:
    assert asked.judged(NO_RAM).fault is not None
    assert (asked.probes, asked.witnesses) == (0, 1)


@pytest.mark.parametrize("words", [{"cmdline": ("mem=4M",)}, {"qemu_args": ("-cpu", "486")}])
def test_words_of_the_user_take_another_kernel(asked: Asked, words: dict[str, Any]) -> None:
    asked.other = ""
    judged = asked.judged(HALTED, replace(SPEC, **words))
    assert judged.fault is None
    assert "position 0 does not come up either" in judged.why
    assert (asked.probes, asked.witnesses) == (0, 1)
