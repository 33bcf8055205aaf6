# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.source.series import covered, load_series, matches


@pytest.mark.parametrize(
    ("versions", "tree", "covers"),
    [
        ("5.10", "5.10.262", True),
        ("5.10", "5.10", True),
        ("5.10", "5.10-rc1", True),
        ("5.10", "5.100", False),
        ("5.10", "5.1", False),
        ("6", "6.1.190", True),
        ("6", "66.1", False),
        ("5.10.262", "5.10.262", True),
    ],
)
def test_matches_compares_whole_numbers(versions: str, tree: str, covers: bool) -> None:
    assert matches(versions, tree) is covers


def patch_text(name: str) -> str:
    return f"Subject: {name}\n\n---\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-a\n+b\n"


def series(folder: Path, about: str) -> Path:
    for base in ("5.10", "6.1"):
        patches = folder / base
        patches.mkdir(parents=True)
        for name in ("base", "one", "two"):
            (patches / f"{name}.patch").write_text(patch_text(f"{base}-{name}"))
        (patches / "series").write_text("# comment\none.patch\n\ntwo.patch -p1 # why\n")
    (folder / "series.toml").write_text(about)
    return folder


ABOUT = """
title = "A title"
[[kernel]]
versions = "5.10"
folder = "5.10"
[[kernel]]
versions = "6.1"
folder = "6.1"
prepare = ["base.patch"]
"""


def test_load_series_takes_the_base_of_the_tree(tmp_path: Path) -> None:
    folder = series(tmp_path / "toy", ABOUT)
    old, new = load_series(folder, "5.10.262"), load_series(folder, "6.1.190")
    assert (old.name, old.title, old.covers, old.prepare) == ("toy", "A title", "5.10", ())
    assert [(p.number, p.title) for p in old.patches] == [(1, "5.10-one"), (2, "5.10-two")]
    assert [(p.number, p.title) for p in new.prepare] == [(0, "6.1-base")]
    assert new.positions == (0, 1, 2)
    assert covered(folder) == ("5.10", "6.1")


def test_load_series_for_a_kernel_not_covered_is_refused(tmp_path: Path) -> None:
    folder = series(tmp_path / "toy", ABOUT)
    with pytest.raises(UserError, match=r"'toy' does not cover kernel 5\.100\.1") as caught:
        load_series(folder, "5.100.1")
    assert caught.value.hint == "it covers: 5.10, 6.1"


@pytest.mark.parametrize(
    ("about", "word"),
    [
        ("title = 1\n[[kernel]]\nversions='1'\n", "title"),
        ("title = 'x'\n", "kernel"),
        ("kernel = []\n", "kernel"),
        ("[[kernel]]\nversion = '1'\n", "kernel.0.version"),
        ("[[kernel]]\nversions = '1'\ncolour = 'red'\n", r"kernel\.0\.colour"),
        ("[[kernel\n", "no TOML"),
    ],
)
def test_load_series_with_a_wrong_series_toml_names_the_key(
    tmp_path: Path, about: str, word: str
) -> None:
    with pytest.raises(UserError, match=word):
        covered(series(tmp_path / "toy", about))


def test_load_series_with_a_missing_patch_names_it(tmp_path: Path) -> None:
    folder = series(tmp_path / "toy", ABOUT)
    file = folder / "5.10" / "series"
    file.write_text("three.patch\n")
    with pytest.raises(UserError, match=r"no patch .*three\.patch"):
        load_series(folder, "5.10")
    file.write_text("../6.1/one.patch\n")
    with pytest.raises(UserError, match="outside the series"):
        load_series(folder, "5.10")
    file.write_text("one.patch -p0\n")
    with pytest.raises(UserError, match=r"series:1: only -p1"):
        load_series(folder, "5.10")
    file.unlink()
    with pytest.raises(UserError, match="no quilt series file"):
        load_series(folder, "5.10")
