# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.source.patch_files import read_patch

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


def test_read_patch_of_a_mail(tmp_path: Path) -> None:
    file = tmp_path / "0002-x.patch"
    file.write_text(MAIL)
    patch = read_patch(file)
    assert patch.title == "mm/vmalloc: a title that is folded ü"
    assert patch.touches == ("mm/a.c", "new.c", "old.c", "run.sh")
    assert patch.sha256 == hashlib.sha256(MAIL.encode()).hexdigest()
    assert patch.number == 0


def test_read_patch_of_a_bare_diff_is_titled_by_its_file(tmp_path: Path) -> None:
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
def test_read_patch_of_no_patch_is_refused(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "x.patch"
    file.write_text(text)
    with pytest.raises(UserError, match=word):
        read_patch(file)
