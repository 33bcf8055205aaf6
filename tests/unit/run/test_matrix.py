# SPDX-License-Identifier: GPL-2.0-only
"""The exit code of a run, and what an interrupted one says."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.model.errors import Interrupted
from harness.model.results import CellResult, RunRecord
from harness.model.values import Cell, Plan, Verdict
from harness.run import matrix
from harness.run.folder import RunFolder
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


@pytest.mark.parametrize("fresh", [True, False])
def test_interrupted_run_says_how_to_go_on_and_a_fresh_one_that_it_begins_anew(
    fresh: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped:
        """In place of a run's matrix: Ctrl-C comes at once."""

        kernels = ()

        def __init__(self, *_: object) -> None:
            pass

        def fill(self) -> None:
            raise KeyboardInterrupt

        def in_order(self) -> tuple[CellResult, ...]:
            return ()

        def not_run(self) -> str:
            return ", 3 of 3 cells not run"

    lab = contextlib.nullcontext(SimpleNamespace(ready=None))
    monkeypatch.setattr(matrix, "_Matrix", Stopped)
    monkeypatch.setattr(matrix, "Lab", lambda *_: lab)
    monkeypatch.setattr(matrix, "_opening", lambda *_: record())
    with pytest.raises(Interrupted) as caught:
        matrix.run_prepared(None, None, RunFolder(tmp_path), fresh=fresh)  # type: ignore[arg-type]
    assert "interrupted, 3 of 3 cells not run" in caught.value.what
    assert ("run the same command to go on" in caught.value.hint) is not fresh
    assert ("begins anew" in caught.value.hint) is fresh
