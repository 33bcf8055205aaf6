# SPDX-License-Identifier: GPL-2.0-only
"""What the model's values know of themselves."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from pathlib import Path

import pytest

from harness.model import values
from harness.model.results import CaseResult, CellResult, RunRecord
from harness.model.values import Cell, GuestTest, Patch, Plan, Proves, Series, Speed, Verdict

CELL = Cell("arm64", "debian:5.10", 2, (), 96, "sweep", "none")


def patch(number: int) -> Patch:
    return Patch(number, Path(f"{number:04}.patch"), f"patch {number}", f"{number:064x}", ())


SERIES = Series("s", "t", Path(), "5.10", prepare=(patch(0),), patches=(patch(1), patch(2)))


def test_every_value_is_frozen() -> None:
    for _, kind in inspect.getmembers(values, dataclasses.is_dataclass):
        assert getattr(kind, "__dataclass_params__").frozen, kind  # noqa: B009


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ("PASS FAIL ERROR", "FAIL"),
        ("PASS ERROR MISS", "ERROR"),
        ("MISS PASS", "MISS"),
        ("SKIP PASS DONE", "PASS"),
        ("SKIP DONE", "DONE"),
        ("SKIP", "SKIP"),
        ("", "MISS"),
    ],
)
def test_worst_verdict_is_that_of_highest_priority(verdicts: str, worst: str) -> None:
    assert Verdict.worst(tuple(map(Verdict, verdicts.split()))) is Verdict(worst)


def test_cell_id_tells_cells_apart_and_is_a_path() -> None:
    other = {
        "arch": "x86_64", "base": "debian:6.1", "position": 3, "config": ("kasan",),
        "ram_mib": 64, "test": "scope", "load": "anon",
    }  # fmt: skip
    cells = [CELL, *(dataclasses.replace(CELL, **{k: v}) for k, v in other.items())]  # type: ignore[arg-type]
    assert len({cell.id for cell in cells}) == len(other) + 1
    path = dataclasses.replace(CELL, base="dir:/src/../linux").id
    assert ":" not in path
    assert path.count("/") == CELL.id.count("/")
    assert CELL.id == "arm64/debian-5.10/p2/96M/sweep"


def test_series_has_one_position_more_than_patches() -> None:
    assert SERIES.positions == (0, 1, 2)
    assert [p.number for p in SERIES.applied(0)] == [0]
    assert [p.number for p in SERIES.applied(2)] == [0, 1, 2]
    assert [SERIES.title_at(n) for n in SERIES.positions] == ["base", "patch 1", "patch 2"]


def test_patchset_hash_is_over_the_hashes_of_the_patches() -> None:
    listed = "".join(f"{number:064x}\n" for number in (0, 1))
    assert SERIES.patchset_hash(1) == hashlib.sha256(listed.encode()).hexdigest()
    assert dataclasses.replace(SERIES, prepare=()).patchset_hash(0) == ""
    assert len({SERIES.patchset_hash(n) for n in SERIES.positions}) == 3


@pytest.mark.parametrize(
    ("own_pressure", "loads", "named", "under"),
    [
        (False, ("none", "anon"), False, ("none", "anon")),
        (False, ("anon",), False, ("anon",)),
        (True, ("none", "anon"), True, ("none",)),
        (True, ("anon", "slab"), False, ("none",)),
        (True, ("anon", "slab"), True, ("anon", "slab")),
    ],
)
def test_guest_test_with_pressure_of_its_own_has_loads_only_when_named(
    own_pressure: bool, loads: tuple[str, ...], named: bool, under: tuple[str, ...]
) -> None:
    test = GuestTest("t", Path(), "", "t", "t", own_pressure=own_pressure)
    assert test.loads_of(loads, named) == under


def test_guest_test_knows_from_which_patch_a_case_passes() -> None:
    test = GuestTest(
        "n", Path(), "", "m", "s",
        proves=(Proves("a", 1, ("nofs_*",)), Proves("a", 2, ("nofail",)), Proves("b", 4)),
    )  # fmt: skip
    assert test.fails_before("a", "nofs_x") == 1
    assert test.fails_before("a", "nofail") == 2
    assert test.fails_before("a", "other") == 0
    assert test.fails_before("b", "anything") == 4
    assert [test.patch_of(series) for series in "abc"] == [2, 4, 0]


def test_guest_test_without_its_needs_claims_nothing() -> None:
    test = GuestTest(
        name="lockdep",
        folder=Path(),
        summary="",
        module="lockdep",
        suite="lockdep",
        needs=("PROVE_LOCKING", "KPROBES"),
        proves=(Proves("s", 1),),
    )
    config = {"CONFIG_PROVE_LOCKING=y", "CONFIG_KPROBES=y", "# CONFIG_KASAN is not set"}
    assert test.on(config) == test
    assert test.on(config - {"CONFIG_KPROBES=y"}).proves == ()
    assert test.on(()).fails_before("s", "any") == 0


def test_cell_with_an_unexpected_part_is_not_as_expected() -> None:
    good = CellResult(CELL, Verdict.FAIL, Verdict.FAIL, "")
    case = CaseResult("c", Verdict.FAIL, Verdict.FAIL)
    assert good.as_expected
    assert dataclasses.replace(good, cases=(case,)).as_expected
    assert not dataclasses.replace(good, verdict=Verdict.PASS).as_expected
    wrong = dataclasses.replace(case, expected=Verdict.PASS)
    assert not dataclasses.replace(good, cases=(case, wrong)).as_expected
    assert not dataclasses.replace(good, anomalies=("the kernel died",)).as_expected


def test_run_that_is_not_finished_is_not_as_expected() -> None:
    good = CellResult(CELL, Verdict.PASS, Verdict.PASS, "")
    record = RunRecord("i", "", 0.0, "", Plan(), "", (), "", "", "", "", cells=(good,))
    assert record.as_expected
    assert not dataclasses.replace(record, finished=False).as_expected
    bad = dataclasses.replace(good, verdict=Verdict.MISS)
    assert not dataclasses.replace(record, cells=(good, bad)).as_expected


def test_speed_of_a_fast_guest_shortens_no_time_out() -> None:
    assert Speed(3.0).scale(10) == 30
    assert Speed(0.2).scale(10) == 10
