# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.source.patch_files import read_patch
from harness.source.series import covered, load_series, matches

MAIL = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?J=C3=B6rg?= Tester <j@localhost>
Date: Mon, 22 Nov 2021 16:32:30 +0100
Subject: [PATCH v2 2/4] mm/vmalloc: a title that is
 folded =?UTF-8?q?=C3=BC?=
Content-Type: text/plain; charset=UTF-8

Why, with ümlaut.

Signed-off-by: x
---
 mm/a.c | 2 +-

diff --git a/mm/a.c b/mm/a.c
index 1..2 100644
--- a/mm/a.c
+++ b/mm/a.c
@@ -1,2 +1,2 @@
 one
-two
+three
diff --git a/old.c b/new.c
similarity index 100%
rename from old.c
rename to new.c
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
--{space}
2.30.2

""".replace("{space}", " ")


def test_a_mail_is_read(tmp_path: Path) -> None:
    file = tmp_path / "0002-x.patch"
    file.write_text(MAIL)
    patch = read_patch(file)
    assert patch.title == "mm/vmalloc: a title that is folded ü"
    assert patch.author == "Jörg Tester <j@localhost>"
    assert patch.touches == ("mm/a.c", "new.c", "old.c", "run.sh")
    assert patch.sha256 == hashlib.sha256(MAIL.encode()).hexdigest()
    assert patch.number == 0


def test_a_bare_diff_is_called_as_its_file(tmp_path: Path) -> None:
    file = tmp_path / "fix-it.diff"
    file.write_text("--- a/x.c\t2021-01-01\n+++ b/x.c\t2021-01-02\n@@ -1 +1 @@\n-a\n+b\n")
    patch = read_patch(file)
    assert (patch.title, patch.touches) == ("fix-it", ("x.c",))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("no patch at all\n", "changes no file"),
        ("", "changes no file"),
        ("--- a/x\n+++ b/x\n@@ -1,5 +1 @@\n-a\n", "is no patch"),
        ("--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n", "outside the kernel tree"),
    ],
)
def test_what_is_no_patch(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "x.patch"
    file.write_text(text)
    with pytest.raises(UserError, match=word):
        read_patch(file)


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
def test_versions_match_in_whole_numbers(versions: str, tree: str, covers: bool) -> None:
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


def test_a_series_is_the_one_for_the_tree(tmp_path: Path) -> None:
    folder = series(tmp_path / "toy", ABOUT)
    old, new = load_series(folder, "5.10.262"), load_series(folder, "6.1.190")
    assert (old.name, old.title, old.covers, old.prepare) == ("toy", "A title", "5.10", ())
    assert [(p.number, p.title) for p in old.patches] == [(1, "5.10-one"), (2, "5.10-two")]
    assert [(p.number, p.title) for p in new.prepare] == [(0, "6.1-base")]
    assert new.positions == (0, 1, 2)
    assert covered(folder) == ("5.10", "6.1")


def test_a_kernel_that_is_not_covered(tmp_path: Path) -> None:
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
def test_a_wrong_series_toml_names_the_key(tmp_path: Path, about: str, word: str) -> None:
    with pytest.raises(UserError, match=word):
        covered(series(tmp_path / "toy", about))


def test_a_series_file_that_names_what_is_not_there(tmp_path: Path) -> None:
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
