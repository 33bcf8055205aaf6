# SPDX-License-Identifier: GPL-2.0-only
"""The exit code of a run."""

from __future__ import annotations

import pytest

from harness.model.results import CellResult, RunRecord
from harness.model.values import Cell, Plan, Verdict
from harness.run.matrix import exit_code


def record(*verdicts: tuple[Verdict, Verdict], finished: bool = True) -> RunRecord:
    cells = tuple(
        CellResult(Cell("a", "b", n, (), 128, "t", "none"), got, expected, "")
        for n, (got, expected) in enumerate(verdicts)
    )
    return RunRecord(
        "id", "", 0.0, "", Plan(), "", (), "", "", "", "", cells=cells, finished=finished
    )


def test_all_as_expected_is_0_even_where_a_fail_was_expected() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.PASS), (Verdict.FAIL, Verdict.FAIL))) == 0


@pytest.mark.parametrize("got", [Verdict.FAIL, Verdict.ERROR, Verdict.SKIP])
def test_a_verdict_that_differs_is_1(got: Verdict) -> None:
    assert exit_code(record((got, Verdict.PASS))) == 1


def test_a_pass_that_should_have_failed_is_1() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.FAIL))) == 1


def test_only_cells_that_could_not_run_is_3() -> None:
    assert exit_code(record((Verdict.MISS, Verdict.PASS), (Verdict.PASS, Verdict.PASS))) == 3


def test_a_differing_verdict_outweighs_a_miss() -> None:
    assert exit_code(record((Verdict.MISS, Verdict.PASS), (Verdict.FAIL, Verdict.PASS))) == 1


def test_an_unfinished_run_is_never_0() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.PASS), finished=False)) == 3
