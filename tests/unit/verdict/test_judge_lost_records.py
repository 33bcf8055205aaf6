# SPDX-License-Identifier: GPL-2.0-only
"""What a verdict is worth where the kernel's log lost records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.guest.transport.lost_records import Gap
from harness.model.results import Ended, TestOutcome
from harness.model.values import Verdict
from harness.verdict.judge import judge
from tests.unit.verdict.test_judge import (
    ERROR,
    FAIL,
    MISS,
    OOPS,
    PASS,
    SERIES,
    SKIP,
    TEST,
    WARNING,
    cell,
    log,
    seen,
)

UNSEEN = "7 kernel log records were lost, and are not on the console"
READ = "2 kernel log records were lost, and read from the console"


@pytest.mark.parametrize("found", [0, 2])
def test_judge_lost_records_turn_a_pass_into_a_miss(found: int) -> None:
    result = seen(2, *log("always", "mended_a"), lost_records=7, found_records=found)
    assert (result.verdict, result.as_expected) == (MISS, False)
    assert result.reason == (f"{UNSEEN}; {READ}" if found else UNSEEN)


@pytest.mark.parametrize(
    ("position", "lines", "ended", "verdict"),
    [
        (2, log("!always", "mended_a"), Ended.DONE, FAIL),
        (1, log("always", "!mended_a"), Ended.DONE, FAIL),
        (2, (WARNING, *log("always", "mended_a")), Ended.DONE, FAIL),
        (2, OOPS, Ended.DIED, FAIL),
        (2, log("always", planned=2), Ended.DONE, ERROR),
        (2, (), Ended.LOST, MISS),
    ],
)
def test_judge_lost_records_leave_a_failure(
    position: int, lines: tuple[str, ...], ended: Ended, verdict: Verdict
) -> None:
    result = seen(position, *lines, ended=ended, lost_records=7)
    assert (result.verdict, result.as_expected) == (verdict, False)
    assert UNSEEN in result.reason


def test_judge_lost_records_turn_a_skip_into_a_miss() -> None:
    test = replace(TEST, proves=())
    lines = ("    # Subtest: demo-suite", "    1..1", "    ok 1 - a # SKIP", "ok 1 - demo-suite")
    outcome = TestOutcome(Ended.DONE, lines)
    for lost, verdict in ((0, SKIP), (7, MISS)):
        result = judge(cell(0), test, SERIES, replace(outcome, lost_records=lost), frozenset())
        assert (result.verdict, result.as_expected) == (verdict, lost == 0)


def test_judge_records_found_on_the_console_are_a_note() -> None:
    result = seen(2, *log("always", "mended_a"), found_records=2)
    assert (result.verdict, result.as_expected) == (PASS, True)
    assert result.reason == f"2 of 2 cases passed; {READ}"
    assert (result.anomalies, result.found_records) == ((), 2)


def test_judge_mark_of_a_gap_is_neither_result_nor_splat() -> None:
    whole = log("always", "mended_a")
    for at in range(len(whole) + 1):
        lines = (*whole[:at], Gap(1, 2, 7).mark, *whole[at:])
        assert seen(2, *lines, found_records=7).as_expected
