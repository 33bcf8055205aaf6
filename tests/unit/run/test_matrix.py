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


def test_exit_code_with_all_as_expected_is_0() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.PASS), (Verdict.FAIL, Verdict.FAIL))) == 0


@pytest.mark.parametrize("got", [Verdict.FAIL, Verdict.ERROR, Verdict.SKIP])
def test_exit_code_with_differing_verdict_is_1(got: Verdict) -> None:
    assert exit_code(record((got, Verdict.PASS))) == 1


def test_exit_code_with_unexpected_pass_is_1() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.FAIL))) == 1


def test_exit_code_with_misses_alone_is_3() -> None:
    assert exit_code(record((Verdict.MISS, Verdict.PASS), (Verdict.PASS, Verdict.PASS))) == 3


def test_exit_code_with_differing_verdict_and_miss_is_1() -> None:
    assert exit_code(record((Verdict.MISS, Verdict.PASS), (Verdict.FAIL, Verdict.PASS))) == 1


def test_exit_code_of_unfinished_run_is_not_0() -> None:
    assert exit_code(record((Verdict.PASS, Verdict.PASS), finished=False)) == 3
