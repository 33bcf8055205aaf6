# SPDX-License-Identifier: GPL-2.0-only
"""Patches on the HTML page: where they are from, and their diffs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.results import PatchRecord, RunRecord
from harness.report.html import patch_view as module
from harness.report.html.patch_view import patch_view
from harness.report.patch_summary import patch_entries
from tests.unit.html_tree import read
from tests.unit.sample_run import HOSTILE, make_run

PATCH = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Tester <t@localhost>
Subject: [PATCH 1/4] mm: one

Why: a < b.
---
 mm/vmalloc.c | 2 +-

diff --git a/mm/vmalloc.c b/mm/vmalloc.c
index 1111111..2222222 100644
--- a/mm/vmalloc.c
+++ b/mm/vmalloc.c
@@ -1,3 +1,3 @@ int f(void)
 {
--\treturn a;
+\treturn a < b;
+-- odd
"""
LOOKS = [
    ("", "From 000"),
    ("file", "diff --git a/mm/vmalloc.c"),
    ("hunk", "@@ -1,3 +1,3 @@ int f(void)"),
    ("", " {"),
    ("del", "--\treturn a;"),
    ("add", "+\treturn a < b;\n+-- odd"),
]


def run_with(folder: Path, *texts: bytes) -> RunRecord:
    record = make_run(folder)
    (folder / "patches").mkdir()
    patches = []
    for number, text in enumerate(texts, 1):
        name = f"patches/{number:04d}-x.patch"
        (folder / name).write_bytes(text)
        commit = f"{number}" * 40
        author = "A <b> & \x1b[2J <t@localhost>"
        patches.append(PatchRecord(number, f"patch {number}", "5" * 64, commit, author, name))
    return replace(record, patches=tuple(patches), base_commit="b" * 40)


def test_patch_view_has_rows_by_their_look(tmp_path: Path) -> None:
    record = run_with(tmp_path, PATCH.encode())
    view = patch_view(tmp_path, record, patch_entries(record)[0])
    assert [row.look for row in view.rows] == [look for look, _ in LOOKS]
    for row, (_, text) in zip(view.rows, LOOKS, strict=True):
        assert row.text.startswith(text)
    assert view.changed == "2 lines added, 1 removed"
    assert (view.short, view.left_out, view.href) == ("1" * 12, 0, "patches/0001-x.patch")


def test_patch_view_of_a_large_patch_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DIFF_LIMIT", 2000)
    long = PATCH + "".join(f"+line {n}\n" for n in range(10_000))
    record = run_with(tmp_path, long.encode())
    view = patch_view(tmp_path, record, patch_entries(record)[0])
    shown = sum(len(row.text) for row in view.rows)
    assert 1500 < shown <= 2000
    assert view.left_out > len(long) - 2100
    assert view.changed.startswith("at least ")
    assert "left out here: see the whole patch" in read(record, tmp_path).text


def test_patch_view_without_a_kept_patch_is_what_it_changed(tmp_path: Path) -> None:
    record = make_run(tmp_path)
    entry = patch_entries(record)[0]
    view = patch_view(tmp_path, record, entry)
    assert (view.rows, view.href, view.sentences) == ((), "", entry.sentences)
    gone = replace(record, patches=(PatchRecord(1, "t", "5", file="../etc/passwd"),))
    assert patch_view(tmp_path, gone, entry).rows == ()


def test_page_shows_commit_author_and_diff_escaped(tmp_path: Path) -> None:
    record = run_with(tmp_path, PATCH.encode(), HOSTILE, b"\0" * 600, b"")
    page = read(record, tmp_path)
    entries = page.all("section", class_="patches")[0].all("li")
    assert "1" * 12 in entries[0].text
    assert r"A <b> & \x1b[2J <t@localhost>" in entries[0].text
    assert "+ return a < b;" in entries[0].all("pre")[0].all("span", class_="d-add")[0].text
    assert r"\x1b[31mred" in entries[1].text
    assert not page.all("img")
    kernels = page.all("section", class_="kernels")[0].all("tr")
    assert any("b" * 12 in row.text for row in kernels)
    assert any("1" * 12 in row.text for row in kernels)
