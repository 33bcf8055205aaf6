# SPDX-License-Identifier: GPL-2.0-only
"""The search for the smallest RAM that is enough."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.ram_threshold.search import Bounds, Threshold, Tries, conclude, next_size


def search(bounds: Bounds, enough: Callable[[int, int], bool], most: int = 1000) -> Threshold:
    """Search by at most so many tries; the nth (from 0) of a size passes as *enough* says."""
    known: dict[int, Tries] = {}
    for _ in range(most):
        size = next_size(known, bounds)
        if size is None:
            break
        tries = known.get(size, Tries())
        passed = enough(size, tries.passed + tries.failed)
        known[size] = tries.add(passed, f"{size} is too little")
    return conclude(known, bounds)


def test_sizes_are_multiples_of_the_step_and_the_two_ends() -> None:
    assert Bounds(30, 51, 8, 1).sizes == (30, 32, 40, 48, 51)
    assert Bounds(32, 32, 8, 1).sizes == (32,)


@given(st.integers(16, 200), st.integers(1, 200), st.integers(1, 32), st.integers(1, 4), st.data())
def test_search_finds_smallest_passing_size(
    low: int, wide: int, step: int, repeats: int, data: st.DataObject
) -> None:
    bounds = Bounds(low, low + wide, step, repeats)
    need = data.draw(st.integers(low - 1, low + wide))
    lookups = ceil(log2(len(bounds.sizes))) + 4
    found = search(bounds, lambda size, _: size >= need, lookups * repeats)
    assert found.finished
    assert found.mib == min(size for size in bounds.sizes if size >= need)
    assert not found.doubtful


def test_search_reason_is_of_next_smaller_size() -> None:
    found = search(Bounds(32, 128, 8, 3), lambda size, _: size >= 56)
    assert (found.mib, found.why) == (56, "48 is too little")


def test_search_with_failing_largest_size_takes_one_try() -> None:
    found = search(Bounds(32, 128, 8, 5), lambda *_: False, most=1)
    assert (found.mib, found.why, found.finished) == (None, "128 is too little", True)


def test_search_names_size_with_mixed_tries() -> None:
    found = search(Bounds(32, 128, 8, 3), lambda size, n: size > 64 or (size == 64 and n < 2))
    assert (found.mib, found.mixed) == (72, (64,))
    assert found.doubtful


def test_search_repeats_size_below_threshold() -> None:
    # Its first failure was bad luck: the second and third try say so.
    found = search(Bounds(32, 128, 8, 3), lambda size, n: size > 64 or (size == 64 and n > 0))
    assert (found.mib, found.mixed) == (72, (64,))


def test_search_names_failing_size_above_threshold() -> None:
    found = search(Bounds(32, 128, 8, 1), lambda size, _: size >= 48 and size not in (88,))
    assert found.uneven or found.mib == 96


@given(st.integers(0, 30))
def test_search_when_stopped_is_unfinished(most: int) -> None:
    tries: list[int] = []

    def enough(size: int, _: int) -> bool:
        tries.append(size)
        return size >= 100

    bounds = Bounds(32, 256, 2, 2)
    search(bounds, enough)
    cut = search(bounds, lambda size, _: size >= 100, most)
    assert cut.finished is (most >= len(tries))


@pytest.mark.parametrize("tries", [Tries(1, 0), Tries(0, 2), Tries()])
def test_tries_are_mixed_only_where_both_happened(tries: Tries) -> None:
    assert not tries.mixed
    assert Tries(2, 1).mixed
