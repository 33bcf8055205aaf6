# SPDX-License-Identifier: GPL-2.0-only
"""Records that the log lost, found on the console."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.guest.transport.lost_records import Gap, filled, stamped

CONSOLE = (
    "Booting from ROM..",
    "[    0.000000] Linux version 5.10.262",
    "[    1.000002] # case: it said",
    "[    1.000002]     and more",
    "an interjection of a program's",
    "[    1.000003][    T1] three",
    "** 7 printk messages dropped **",
    "half a line[   12.000004] four",
)


def test_console_lines_of_record_share_stamp() -> None:
    assert list(stamped(CONSOLE)) == [
        (0, "Linux version 5.10.262"),
        (1_000_002, "# case: it said\n    and more"),
        (1_000_003, "three"),
        (12_000_004, "four"),
    ]


def test_console_stamps_with_spaces_and_of_a_wrapped_clock() -> None:
    lines = ["[18446744073.709550] early", "[    1.000002 ][    T0 ] one", "<6>[    1.000003] two"]
    assert list(stamped(lines)) == [(-1, "early"), (1_000_002, "one"), (1_000_003, "two")]


def with_gaps(*gaps: Gap) -> tuple[str, int]:
    """Fill a log of which each of *gaps* has its mark, "-", with the letters of a console."""
    whole, found = filled(["x", *(gap.mark for gap in gaps), "y"], gaps, enumerate("abcde"))
    marks = {gap.mark for gap in gaps}
    return "".join("-" if text in marks else text for text in whole), found


@pytest.mark.parametrize(
    ("gaps", "whole", "found"),
    [
        ([], "xy", 0),
        ([Gap(0, 9, 9)], "x-bcdey", 4),
        ([Gap(1, 5, 3)], "x-cdey", 3),
        ([Gap(1, 5, 2)], "x-cdy", 2),
        ([Gap(0, 2, 1), Gap(2, 4, 9)], "x-b-dy", 2),
        ([Gap(5, 6, 9)], "x-y", 0),
    ],
)
def test_gap_is_filled_with_at_most_the_lost_records(
    gaps: list[Gap], whole: str, found: int
) -> None:
    assert with_gaps(*gaps) == (whole, found)


def test_gap_outside_log_is_counted_and_not_filled() -> None:
    gap, other = Gap(0, 2, 1), Gap(2, 4, 2)
    log = ("x", other.mark, "y")
    assert filled(log, [gap, other], enumerate("abcde")) == (("x", other.mark, "d", "y"), 2)


def test_gap_mark_repeated_by_guest_is_filled_once() -> None:
    gap = Gap(0, 3, 2)
    log = (gap.mark, "x", gap.mark)
    assert filled(log, [gap], enumerate("abcde")) == ((gap.mark, "b", "c", "x", gap.mark), 2)
    assert gap.mark == "[harness: 2 records lost between 0.000000 and 0.000003]"


@given(
    st.lists(st.builds(Gap, st.integers(0), st.integers(0), st.integers(0)), max_size=5),
    st.lists(st.text(max_size=40), max_size=20),
)
def test_no_console_gives_more_than_was_lost(gaps: list[Gap], lines: list[str]) -> None:
    stamps = [f"[{n:5}.{n:06}] {line}" for n, line in enumerate(lines)]
    marks = [gap.mark for gap in gaps]
    whole, found = filled(marks, gaps, stamped([*lines, *stamps]))
    assert len(whole) - len(marks) <= found <= sum(gap.count for gap in gaps)
