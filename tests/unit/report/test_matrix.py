# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of verdicts, and the texts about outcomes that reports share."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, permutations

import pytest

from harness.model.results import CaseResult, CellResult
from harness.model.values import Verdict
from harness.report.matrix import (
    Matrix,
    Row,
    difference,
    differences,
    duration,
    headline,
    lay_out,
    verdict_text,
)
from tests.unit.verdict.test_changes import run, stopped, track


def with_expected(words: str, expected: str, **more: str) -> list[CellResult]:
    """Return a track with the verdicts *words*, of which *expected* were expected."""
    pairs = zip(track(words, **more), track(expected, **more), strict=True)
    return [replace(result, expected=wanted.verdict) for result, wanted in pairs]


def names(matrix: Matrix) -> list[str]:
    return [row.test for row in matrix.rows]


LATE, EARLY = with_expected("FFP", "FFP", test="late"), with_expected("FPP", "FPP", test="early")
CONTROL = track("PPP", test="control")


def test_lay_out_rows_follow_the_position_of_their_patch() -> None:
    for order in permutations((LATE, EARLY, CONTROL)):
        results = list(chain.from_iterable(order))
        assert names(lay_out(results)) == ["early", "late", "control"]
        assert names(lay_out(results, stairs=False)) == ["control", "early", "late"]


def test_lay_out_archs_are_in_the_order_given() -> None:
    results = [*track("P", arch="x86_64"), *track("P", arch="arm64")]
    assert lay_out(results, ("x86_64",)).archs == ("x86_64", "arm64")
    assert lay_out(results).archs == ("arm64", "x86_64")


def test_matrix_turned_is_an_expected_change_only() -> None:
    matrix = lay_out([*LATE, *with_expected("FPP", "PPP", test="flaky")])
    late, flaky = (Row.of(cells[0].cell) for cells in (LATE, track("P", test="flaky")))
    assert [matrix.turned(late, "arm64", position) for position in range(3)] == [False, False, True]
    assert not any(matrix.turned(flaky, "arm64", position) for position in range(3))


def test_matrix_conditions_name_what_differs_between_rows() -> None:
    small, large = track("P"), [replace(r, cell=replace(r.cell, ram_mib=96)) for r in track("P")]
    matrix = lay_out([*small, *large, *track("P", load="anon")])
    assert {matrix.conditions(row) for row in matrix.rows} == {
        "no load, 128 MiB", "no load, 96 MiB", "anon, 128 MiB",
    }  # fmt: skip
    assert lay_out(small).suffix(Row.of(small[0].cell)) == ""


def test_difference_names_verdict_case_or_anomaly() -> None:
    (result,) = track("P")
    assert verdict_text(result) == "PASS, as expected"
    assert verdict_text(replace(result, verdict=Verdict.MISS)) == "MISS, expected PASS"
    case = CaseResult("a", Verdict.FAIL)
    assert difference(replace(result, cases=(case,))) == (
        "as expected, but case a was FAIL, expected PASS"
    )
    assert difference(replace(result, anomalies=("x",))) == "as expected, but more went wrong"


def test_headline_of_finished_and_stopped_runs() -> None:
    record = run(with_expected("FP", "PP"))
    assert headline(record) == "1 difference"
    assert (
        headline(replace(record, finished=False)) == "stopped before the end; 1 difference so far"
    )
    assert headline(run()) == "no verdicts"
    assert headline(replace(run(), finished=False)) == "stopped before the first verdict"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3720, "1 h 02 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_differences_a_kernel_with_a_fault_is_told_once() -> None:
    tracks = [track("PF", test) for test in ("t", "u", "v")]
    for one in tracks[:2]:
        stopped(one, 1)
    record = run(*tracks)
    assert [(d.result.cell.test, d.others) for d in differences(record)] == [
        ("t", " and 1 more cell of this kernel"),
        ("v", ""),
    ]
