# SPDX-License-Identifier: GPL-2.0-only
"""Deadlines and speeds."""

from __future__ import annotations

import math

import pytest

from harness.host.deadline import REFERENCE_SPIN_US, SLOWEST, Deadline, host_speed, speed_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_remaining_shrinks_with_the_clock_and_stops_at_zero() -> None:
    clock = Clock()
    deadline = Deadline(10.0, clock)
    clock.now += 4.0
    assert deadline.remaining() == pytest.approx(6.0)
    assert not deadline.passed
    clock.now += 7.0
    assert deadline.remaining() == 0.0
    assert deadline.passed
    assert deadline.seconds == 10.0
    assert deadline.spent == pytest.approx(11.0)


def test_never_deadline_does_not_pass() -> None:
    deadline = Deadline.never()
    assert deadline.remaining() == math.inf
    assert not deadline.passed
    assert deadline.within(3.0).seconds == 3.0


@pytest.mark.parametrize(("wanted", "granted"), [(3.0, 3.0), (30.0, 8.0)])
def test_within_ends_no_later_than_the_whole(wanted: float, granted: float) -> None:
    clock = Clock()
    whole = Deadline(10.0, clock)
    clock.now += 2.0
    part = whole.within(wanted)
    assert part.remaining() == pytest.approx(granted)
    clock.now += granted
    assert part.passed


def test_speed_of_a_slow_guest_scales_up_and_of_a_fast_one_not_down() -> None:
    assert speed_of(3 * REFERENCE_SPIN_US).scale(45.0) == pytest.approx(135.0)
    assert speed_of(REFERENCE_SPIN_US // 3).scale(45.0) == 45.0


@pytest.mark.parametrize("spin_us", [0, -1])
def test_speed_of_a_guest_without_measurement_is_the_reference(spin_us: int) -> None:
    assert speed_of(spin_us).factor == 1.0


@pytest.mark.parametrize("spin_us", [SLOWEST * REFERENCE_SPIN_US, 10**9, 10**15, 10**400])
def test_speed_is_bounded_at_a_hundredth(spin_us: int) -> None:
    assert speed_of(spin_us).scale(45.0) == SLOWEST * 45.0


def test_host_speed_on_a_busy_host_is_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("os.getloadavg", lambda: (6.0, 0.0, 0.0))
    assert host_speed().factor == 3.0
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 9.0, 9.0))
    assert host_speed().factor == 1.0
