# SPDX-License-Identifier: GPL-2.0-only
"""Slow or stuck, by what was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.results import Stuck
from harness.run.stall import LOOK_S, ProgressSample, StallDetector, limit_of, look_of


def verdict(*glances: ProgressSample) -> Stuck | None:
    detector = StallDetector(limit_s=10.0)
    stalls = [detector.look(sample) for sample in glances]
    assert not any(stalls[:-1])
    last = stalls[-1]
    return last.kind if last else None


@pytest.mark.parametrize(
    ("cpu_ms", "retries", "kind"),
    [
        ((0, 200, 9_800), 0, Stuck.HANG),
        ((200, 9_800, 0), 0, Stuck.LIVELOCK),
        ((5_000, 5_000, 0), 0, None),  # somebody works in userspace
        ((5_000, 5_000, 0), 9, Stuck.LIVELOCK),  # and the test says that it gets nowhere
        ((0, 5_000, 5_000), 9, None),
    ],
)
def test_stall_kind_follows_from_cpu_time(
    cpu_ms: tuple[int, int, int], retries: int, kind: Stuck | None
) -> None:
    first = ProgressSample(at=0.0, said=3, done=0, retries=0, sampled_at=0.0, cpu_ms=(0, 0, 0))
    last = ProgressSample(at=10.0, said=3, done=0, retries=retries, sampled_at=9.9, cpu_ms=cpu_ms)
    assert verdict(first, last) is kind


@pytest.mark.parametrize(("said", "done"), [(4, 0), (3, 1)])
def test_stall_is_none_after_line_or_count(said: int, done: int) -> None:
    first = ProgressSample(at=0.0, said=3, done=0, sampled_at=0.0, cpu_ms=(0, 0, 0))
    last = ProgressSample(at=30.0, said=said, done=done, sampled_at=29.9, cpu_ms=(0, 30_000, 0))
    assert verdict(first, last) is None


@pytest.mark.parametrize(
    ("emulator_s", "kind"), [(0.1, Stuck.HANG), (5.0, None), (9.0, Stuck.LIVELOCK)]
)
def test_stall_kind_of_silent_guest_follows_from_emulator(
    emulator_s: float, kind: Stuck | None
) -> None:
    last = ProgressSample(at=10.0, said=0, emulator_s=emulator_s, sampled_at=0.5)
    assert verdict(ProgressSample(at=0.0, said=0), last) is kind


@pytest.mark.parametrize(("ready", "kind"), [(0, Stuck.HANG), (2, Stuck.HANG), (5, None)])
def test_stall_of_emulator_waiting_for_host_cpu_is_no_hang(ready: int, kind: Stuck | None) -> None:
    looks = [
        ProgressSample(
            at=float(at), said=0, sampled_at=0.5, emulator_s=0.1, emulator_ready=at <= ready
        )
        for at in range(1, 11)
    ]
    assert verdict(ProgressSample(at=0.0, said=0, emulator_ready=True), *looks) is kind


def test_stall_counts_restart_after_progress() -> None:
    busy = [ProgressSample(at=float(at), said=0, emulator_ready=True) for at in range(9)]
    idle = [ProgressSample(at=float(at), said=1) for at in range(9, 20)]
    assert verdict(*busy, *idle) is Stuck.HANG


def test_stall_with_late_first_sample_uses_it() -> None:
    first = ProgressSample(at=0.0, said=0)
    second = ProgressSample(at=4.0, said=0, sampled_at=4.0, cpu_ms=(500, 0, 0), emulator_s=4.0)
    busy = ProgressSample(at=10.0, said=0, sampled_at=10.0, cpu_ms=(6_500, 0, 0), emulator_s=10.0)
    assert verdict(first, second, busy) is None  # in userspace
    idle = replace(busy, cpu_ms=(500, 0, 6_000))
    assert verdict(first, second, idle) is Stuck.HANG


def test_stall_silence_limit_scales_with_speed() -> None:
    first = ProgressSample(at=0.0, said=0, cpu_ms=(0, 0, 0))
    last = ProgressSample(at=10.0, said=0, sampled_at=7.0, cpu_ms=(7_000, 0, 0), emulator_s=9.0)
    for starved_s, silent in ((2.0, True), (6.0, False)):
        detector = StallDetector(10.0, starved_s)
        assert detector.look(first) is None
        stall = detector.look(last)
        assert (stall is not None and not stall.told) is silent


def test_limit_is_part_of_timeout_unless_declared() -> None:
    assert limit_of(90.0, 0.0) == 18.0
    assert limit_of(8.0, 0.0) == 5.0
    assert limit_of(90.0, 40.0) == 40.0


@pytest.mark.parametrize("timeout_s", [30.0, 45.0, 90.0, 120.0])
def test_stall_and_look_take_less_than_third_of_timeout(timeout_s: float) -> None:
    # Its last progress is seen half a second late, and so is the end of what it is granted.
    spent = limit_of(timeout_s, 0.0) + LOOK_S
    assert LOOK_S + spent + look_of(timeout_s, spent) < timeout_s / 3


def test_look_of_late_stall_keeps_least_time() -> None:
    assert look_of(90.0, spent_s=80.0) == 2.0
