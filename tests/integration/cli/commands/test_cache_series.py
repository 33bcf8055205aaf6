# SPDX-License-Identifier: GPL-2.0-only
"""``harness cache`` on series that were cut from a git repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cache import lease
from harness.host.paths import Cache, Checkout
from harness.model.values import Plan, Series
from harness.run.prepare import prepare
from harness.run.workspace import Workspace
from tests.integration.cli.commands import ROOT, Command, flip
from tests.integration.toy import git, ignore, toy_repository


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user who names none."""
    folder = tmp_path / "default"
    monkeypatch.setenv("KERNEL_PATCH_HARNESS_CACHE", str(folder))
    return folder


@pytest.fixture
def series(tmp_path: Path, default: Path) -> Series:
    """A git range, with an edit on top: an entry of the range, and one with the edit."""
    repository = toy_repository(tmp_path / "linux")
    (repository / "README").write_text("edited\n")
    assert git(repository, "status", "--porcelain")
    workspace = Workspace(Checkout(ROOT), Cache(tmp_path / "cache"), report=ignore)
    series = prepare(Plan(series=f"edits:{repository}#base"), workspace).series
    assert len(series.patches) == 3
    assert not default.exists()
    return series


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "store" / "series").glob("[!.]*"))


def test_series_in_a_named_cache_is_sound_and_the_default_cache_stays_empty(
    series: Series, harness: Command, default: Path, tmp_path: Path
) -> None:
    assert ", 0 damaged" in harness("verify").stdout
    assert [line for line in harness().stdout.splitlines() if line.split()[:2] == ["series", "2"]]
    assert len(entries(tmp_path)) == 2
    assert series.folder in entries(tmp_path)
    assert not default.exists()


def test_series_in_use_stays_in_a_prune_and_goes_after_it(
    series: Series, harness: Command, tmp_path: Path
) -> None:
    harness("prune", "--size", "0", code=1)
    assert len(entries(tmp_path)) == 2
    assert all(patch.file.is_file() for patch in series.patches)
    lease.end_all()
    assert f"removed series {series.folder}" in harness("prune", "--size", "0", code=1).stdout
    assert entries(tmp_path) == []


def test_series_with_a_flipped_bit_is_found_damaged(series: Series, harness: Command) -> None:
    lease.end_all()
    flip(series.patches[0].file, keep_time=True)
    out = harness("verify", code=1).stdout
    assert f"damaged: {series.folder}: the content of {series.patches[0].file.name}" in out
    assert not series.folder.exists()
