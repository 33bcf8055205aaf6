# SPDX-License-Identifier: GPL-2.0-only
"""Resolved plans: their positions, cells, and what a kernel lacks for a load."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import load_arch
from harness.host.paths import Cache, Checkout
from harness.model.errors import UserError
from harness.model.values import GuestTest, Load, Patch, Plan, Proves, Series, SourceTree
from harness.plan.options import load_plan, plan_from
from harness.plan.plan import DEFAULT_BASE
from harness.run.prepare import (
    ResolvedPlan,
    checked_claims,
    checked_positions,
    completed,
    prepare,
    subject,
)
from harness.run.workspace import Workspace

SERIES = Series(
    name="s",
    title="t",
    folder=Path(),
    covers="5.10",
    prepare=(),
    patches=tuple(Patch(n, Path(), f"patch {n}", "", ()) for n in (1, 2)),
)
XFS = Load("xfs", Path(), "", needs=("XFS_FS", "BLOCK"))


def resolved(plan: Plan) -> ResolvedPlan:
    return ResolvedPlan(
        plan=plan,
        tree=SourceTree("dir:toy", "5.10", "toy", "digest", Path()),
        series=SERIES,
        archs=(load_arch("arm64"),),
        positions=SERIES.positions,
        tests=(GuestTest("sweep", Path(), "", module="m", suite="s"),),
        loads=(XFS,),
        topics={"net": frozenset({"NET"}), "xfs": frozenset({"XFS_FS", "BLOCK"})},
    )


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ('series = "git:/src/linux#v5.10..topic"', "git:/src/linux#v5.10"),
        ('series = "edits:/src/linux#v5.10"', "git:/src/linux#v5.10"),
        ('series = "git:/src/linux#v5.10..topic"\nbase = "debian:6.1"', "debian:6.1"),
        ('series = "mine"', DEFAULT_BASE),
    ],
)
def test_completed_base_of_a_git_series_is_where_it_starts_however_it_was_written(
    tmp_path: Path, written: str, base: str
) -> None:
    checkout, file = Checkout(tmp_path), tmp_path / "plan.toml"
    (checkout.patches / "mine").mkdir(parents=True)
    (checkout.patches / "mine" / "series.toml").touch()
    file.write_text(f'{written}\nloads = "none"\n')
    options = {f"--{key}": value for key, value in tomllib.loads(written).items()}
    by_option = plan_from(Plan(), {flag[2:]: (flag, text) for flag, text in options.items()})
    assert completed(load_plan(file, checkout), checkout).base == base
    assert completed(by_option, checkout).base == base


def test_prepare_of_a_wrong_range_is_refused_before_its_base_is_fetched(tmp_path: Path) -> None:
    workspace = Workspace(Checkout(tmp_path), Cache(tmp_path / "cache"), report=print)
    with pytest.raises(UserError, match="is no range of commits"):
        prepare(Plan(series="git:/src/linux#a..", base="git:/nowhere#a"), workspace)
    assert not (tmp_path / "cache").exists()


def test_subject_names_series_base_commits_and_version() -> None:
    ready = resolved(Plan(series="git:/src/linux#a..b", base="git:/src/linux#a"))
    first, second = (replace(p, commit=f"{n}" * 40) for n, p in enumerate(SERIES.patches, 1))
    series = replace(SERIES, patches=(first, second))
    tree = replace(ready.tree, commit="f" * 40)
    assert subject(ready.plan, series, tree) == (
        "series git:/src/linux#a..b (2 patches, 111111111111..222222222222) on Linux 5.10, "
        "git:/src/linux#a (commit ffffffffffff)"
    )
    one = replace(SERIES, patches=(first,))
    assert "(1 patch, 111111111111) on" in subject(ready.plan, one, tree)


def test_subject_without_commits_or_series() -> None:
    plan = Plan(series="mine", base="debian:5.10")
    tree = resolved(plan).tree
    assert subject(plan, SERIES, tree) == "series mine (2 patches) on Linux 5.10, debian:5.10"
    none = replace(plan, series="none")
    assert subject(none, SERIES, tree) == "no series: Linux 5.10, debian:5.10, as it is"


def test_positions_default_to_all() -> None:
    assert checked_positions(SERIES, ()) == (0, 1, 2)


def test_positions_named_twice_come_sorted_once() -> None:
    assert checked_positions(SERIES, (2, 0, 2)) == (0, 2)


def test_position_outside_series_names_range() -> None:
    with pytest.raises(UserError, match="position 3") as caught:
        checked_positions(SERIES, (1, 3))
    assert "0 (base) to 2" in caught.value.hint


def test_claim_on_a_patch_that_the_series_lacks_names_file_and_key() -> None:
    claims = (Proves("other", 9), Proves("s", 2), Proves("s", 3))
    test = GuestTest("sweep", Path("tests/sweep"), "", module="m", suite="s", proves=claims[:2])
    assert checked_claims((test,), SERIES) == (test,)
    with pytest.raises(UserError) as caught:
        checked_claims((test, replace(test, proves=claims)), SERIES)
    assert caught.value.what == (
        "tests/sweep/test.toml: proves[2].patch = 3: series 's' for 5.10 has 2 patches"
    )


def test_cells_are_every_ram_and_repeat_with_no_load_last() -> None:
    plan = Plan(ram_mib=(64, 96), loads=("xfs", "none"), repeat=2, tests=("sweep",))
    cells = resolved(plan).cells(load_arch("arm64"), 1)
    assert [(cell.ram_mib, cell.load, cell.repeat) for cell in cells] == [
        (ram, load, repeat) for ram in (64, 96) for load in ("xfs", "none") for repeat in (0, 1)
    ]
    assert {(cell.arch, cell.position, cell.test) for cell in cells} == {("arm64", 1, "sweep")}


def test_lacking_without_symbol_names_topic_that_brings_it() -> None:
    assert resolved(Plan()).lacking(XFS, {"CONFIG_BLOCK=y"}) == (
        "load xfs needs a kernel with XFS_FS: add --config xfs"
    )


def test_lacking_with_all_symbols_is_empty() -> None:
    assert resolved(Plan()).lacking(XFS, {"CONFIG_BLOCK=y", "CONFIG_XFS_FS=y"}) == ""
