# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.host.files import write_whole
from harness.model.errors import UserError
from harness.model.jsonio import from_json
from harness.model.results import CellResult
from harness.model.values import Cell, Patch, Plan, Series, Verdict
from harness.run.folder import RunFolder, find_run, new_run_folder, run_folder

CELL = Cell("arm64", "debian:5.10", 2, (), 128, "some-test", "anon")


def test_cell_folder_lies_below_run_and_names_cell(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).cell(CELL)
    assert RunFolder(tmp_path).relative(folder) == f"cells/{CELL.id}"
    assert "p2" in CELL.id
    assert ":" not in CELL.id


def test_cell_folder_of_hostile_base_stays_below_run(tmp_path: Path) -> None:
    cell = Cell("arm64", "dir:../../../etc", 0, (), 128, "t", "none")
    assert RunFolder(tmp_path).cell(cell).resolve().is_relative_to(tmp_path.resolve())


def test_saved_result_reads_back_equal(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    result = CellResult(CELL, Verdict.FAIL, Verdict.PASS, "why")
    run.save_result(result)
    text = (run.cell(CELL) / "result.json").read_text()
    assert from_json(CellResult, text) == result


def test_new_run_folders_of_same_second_differ(tmp_path: Path) -> None:
    first, second = (new_run_folder(tmp_path, Plan()) for _ in range(2))
    assert first.path != second.path
    assert (tmp_path / "latest").resolve() == second.path.resolve()


def test_run_id_of_series_path_has_last_part(tmp_path: Path) -> None:
    run = new_run_folder(tmp_path, Plan(series="/some/where/my-series/"))
    assert run.id.endswith("-my-series")
    assert run.path.parent == tmp_path


def test_run_folder_of_a_kind_is_named_after_series_and_kind(tmp_path: Path) -> None:
    with run_folder(tmp_path, Plan(series="some/where/fix.mbox"), kind="coverage") as run:
        assert run.id.endswith("-fix-coverage")
    assert run.path.is_dir()


@pytest.mark.parametrize("odd", ["git:/src/linux#work~5..work?x", "git:/a b/c#d#e%..é:f", "~x/ö~"])
def test_run_folder_of_any_series_has_a_name_that_a_browser_opens(tmp_path: Path, odd: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", new_run_folder(tmp_path, Plan(series=odd)).id)


def test_cell_folder_keeps_to_what_a_browser_opens(tmp_path: Path) -> None:
    odd = Cell("arm64", "git:/a b/li#nux#w~5^", 2, ("x",), 64, "t", "anon:95%:seed=7+b", 3)
    assert RunFolder(tmp_path).cell(odd).relative_to(tmp_path).as_posix() == (
        "cells/arm64/git-li-nux-w-5+x/p2/64M/t+anon.95pct.seed-7+b.run4"
    )


def test_saved_patches_are_in_the_run_with_their_ids(tmp_path: Path) -> None:
    file = tmp_path / "a#b 1.patch"
    file.write_text("diff")
    patch = Patch(1, file, "mm: one", "5" * 64, ("mm/a.c",), "c" * 40, "A <a@b>")
    run = RunFolder(tmp_path / "run")
    series = Series("s", "t", tmp_path, "5.10", (), (patch,))
    for _ in range(2):  # a folder that is given again holds the last run's alone
        (record,) = run.save_patches(series)
    assert (record.commit, record.author, record.title) == (patch.commit, patch.author, patch.title)
    assert record.file == "patches/0001-a-b-1.patch"
    assert (run.path / record.file).read_text() == "diff"


def test_run_folder_with_out_is_made(tmp_path: Path) -> None:
    with run_folder(tmp_path / "runs", Plan(), tmp_path / "my" / "own") as run:
        assert run.path == tmp_path / "my" / "own"
    assert run.path.is_dir()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("written", [True, False])
def test_run_folder_after_error_stays_only_when_written(tmp_path: Path, written: bool) -> None:
    with pytest.raises(UserError), run_folder(tmp_path, Plan()) as run:
        fail(run, written)
    assert run.path.exists() is written


def test_run_folder_of_a_refused_request_leaves_latest_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(UserError), run_folder(tmp_path, Plan()) as run:
        fail(run, written=False)
    assert not (tmp_path / "latest").is_symlink()
    first = new_run_folder(tmp_path, Plan())
    with pytest.raises(UserError), run_folder(tmp_path, Plan()) as run:
        fail(run, written=False)
    assert (tmp_path / "latest").resolve() == first.path


def fail(run: RunFolder, written: bool) -> None:
    if written:
        write_whole(run.path / "run.json", "{}")
    raise UserError("no")


def test_find_run_takes_folder_id_and_latest(tmp_path: Path) -> None:
    run = new_run_folder(tmp_path, Plan())
    write_whole(run.path / "run.json", "{}")
    for name in (str(run.path), run.id, "latest"):
        assert find_run(tmp_path, name).path == run.path.resolve()


def test_find_run_of_another_command_says_what_it_has(tmp_path: Path) -> None:
    run = new_run_folder(tmp_path, Plan(), "mutants")
    with pytest.raises(UserError, match="no finished run in"):
        find_run(tmp_path, "latest")
    write_whole(run.path / "mutants-arm64.md", "")
    with pytest.raises(UserError, match=f"{run.id} has no verdicts") as caught:
        find_run(tmp_path, "latest")
    assert caught.value.hint.endswith("mutants-arm64.md")


def test_find_run_of_unknown_name_lists_known_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run 'x'") as caught:
        find_run(tmp_path, "x")
    assert "none yet" in caught.value.hint
    run = new_run_folder(tmp_path, Plan())
    write_whole(run.path / "run.json", "{}")
    with pytest.raises(UserError) as caught:
        find_run(tmp_path, "x")
    assert run.id in caught.value.hint
