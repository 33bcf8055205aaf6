# SPDX-License-Identifier: GPL-2.0-only
"""Rates, intervals, and cells that disagree with themselves."""

from __future__ import annotations

import pytest

from harness.model.results import CaseResult, CellResult, RunRecord
from harness.model.values import Cell, Plan, Verdict
from harness.report.matrix import Row, lay_out
from harness.verdict.flaky import tallies, wilson


def result(repeat: int, verdict: Verdict, case: Verdict | None = None) -> CellResult:
    cell = Cell("x86_64", "debian:5.10", 4, (), 128, "sweep", "none", repeat)
    cases = (CaseResult("a", case or verdict),)
    return CellResult(cell, verdict, Verdict.PASS, "", cases)


def record(*results: CellResult) -> RunRecord:
    return RunRecord("id", "", 0.0, "", Plan(), "", (), "", "", "", "", cells=results)


# Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718), (20, 20, 0.8389, 1.0), (0, 0, 0.0, 1.0)],
)  # fmt: skip
def test_wilson_interval(hits: int, runs: int, low: float, high: float) -> None:
    assert wilson(hits, runs) == pytest.approx((low, high), abs=5e-5)


def test_tallies_single_run_has_none() -> None:
    assert tallies(record(result(0, Verdict.PASS))) == ()


def test_tallies_equal_runs_are_not_flaky() -> None:
    (tally,) = tallies(record(*(result(n, Verdict.PASS) for n in range(20))))
    assert (tally.runs, tally.as_expected, tally.flaky) == (20, 20, False)
    assert tally.text.endswith("20 of 20 as expected, 95 %: 83.9% to 100.0% (20 PASS)")


def test_tallies_one_run_that_differs_is_flaky() -> None:
    runs = [result(n, Verdict.PASS) for n in range(3)] + [result(3, Verdict.FAIL)]
    (tally,) = tallies(record(*runs))
    assert (tally.as_expected, tally.flaky) == (3, True)
    assert tally.verdicts == ((Verdict.FAIL, 1), (Verdict.PASS, 3))
    assert "FLAKY: 1 FAIL, 3 PASS" in tally.text


def test_tallies_runs_that_differ_in_a_case_are_flaky() -> None:
    (tally,) = tallies(record(result(0, Verdict.FAIL), result(1, Verdict.FAIL, Verdict.PASS)))
    assert tally.flaky


def test_lay_out_repeats_show_the_run_that_is_not_as_expected() -> None:
    odd = result(1, Verdict.FAIL)
    runs = (result(0, Verdict.PASS), odd, result(2, Verdict.PASS))
    matrix = lay_out(runs)
    assert matrix.at(Row.of(odd.cell), "x86_64", 4) is odd
