# SPDX-License-Identifier: GPL-2.0-only
"""A work tree moves between positions and touches nothing else."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from harness.host.paths import Cache
from harness.model.errors import InfraError, PatchError
from harness.model.values import Series, SourceTree
from harness.source import worktree
from harness.source.apply import Content, contents_at, write_content
from harness.source.worktree import WorkTree
from tests.integration.toy import HEADER, VMALLOC, PatchWriter, toy_tree, two_patches


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def tree(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> SourceTree:
    return toy_tree(cache, monkeypatch)


def times(folder: Path) -> dict[str, int]:
    """Age every file, then return their times: any that is written afterwards differs."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, ns=(10**18, 10**18))
            found[str(file.relative_to(folder))] = file.stat().st_mtime_ns
    return found


def touched(folder: Path, before: dict[str, int]) -> set[str]:
    now = {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file()
    }
    return {name for name in now.keys() | before.keys() if now.get(name) != before.get(name)}


def texts(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def go_to(work: WorkTree, series: Series, position: int) -> tuple[str, ...]:
    return work.show(contents_at(work.tree, series, position))


def test_show_writes_only_the_files_that_differ(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        assert go_to(work, series, 0) == ()
        before = times(work.path)
        assert go_to(work, series, 1) == (VMALLOC,)
        assert touched(work.path, before) == {VMALLOC}
        assert "return -12;" in (work.path / VMALLOC).read_text()

        before = times(work.path)
        assert go_to(work, series, 2) == (HEADER,)
        assert touched(work.path, before) == {HEADER}
        assert go_to(work, series, 2) == ()

        assert set(go_to(work, series, 0)) == {VMALLOC, HEADER}
        assert texts(work.path) == texts(tree.path)


def test_show_of_an_earlier_position_gives_files_a_new_time(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        go_to(work, series, 1)
        os.utime(work.path / VMALLOC, ns=(10**18, 10**18))
        go_to(work, series, 0)
        pristine = (tree.path / VMALLOC).stat().st_mtime_ns
        assert (work.path / VMALLOC).stat().st_mtime_ns > max(pristine, 10**18)


def test_show_never_writes_the_pristine_tree(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    before = texts(tree.path)
    with WorkTree(tree, cache) as work:
        go_to(work, series, 2)
        go_to(work, series, 1)
    assert texts(tree.path) == before


def test_show_of_new_removed_renamed_files_and_modes(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    writer = PatchWriter(tmp_path / "toy")
    writer.add("new", "lib/deep/new.c", "", "int fresh;\n")
    stamp = (tree.path / "scripts/stamp.c").read_text()
    gone = "".join(f"-{line}\n" for line in stamp.splitlines())
    count = len(stamp.splitlines())
    writer.add_raw(
        "0002-git.patch",
        "Subject: a rename, a mode, a removal\n\n---\n"
        "diff --git a/kernel/main.c b/kernel/start.c\n"
        "similarity index 100%\nrename from kernel/main.c\nrename to kernel/start.c\n"
        "diff --git a/kernel/feature.c b/kernel/feature.c\n"
        "old mode 100644\nnew mode 100755\n"
        "diff --git a/scripts/stamp.c b/scripts/stamp.c\n"
        f"deleted file mode 100644\n--- a/scripts/stamp.c\n+++ /dev/null\n@@ -1,{count} +0,0 @@\n"
        f"{gone}",
    )
    series = writer.series()
    with WorkTree(tree, cache) as work:
        go_to(work, series, 2)
        assert (work.path / "lib/deep/new.c").read_text() == "int fresh;\n"
        assert not (work.path / "kernel/main.c").exists()
        assert (work.path / "kernel/start.c").read_text() == (
            tree.path / "kernel/main.c"
        ).read_text()
        assert (work.path / "kernel/feature.c").stat().st_mode & 0o100
        assert not (work.path / "scripts/stamp.c").exists()

        go_to(work, series, 0)
        assert texts(work.path) == texts(tree.path)
        assert not (work.path / "lib").exists()
        assert not (work.path / "kernel/feature.c").stat().st_mode & 0o100


def broken_series(folder: Path) -> Series:
    writer = PatchWriter(folder)
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    writer.add_raw(
        "0002-two.patch",
        "Subject: [PATCH 2/2] two\n\nbase-commit: 0123456789abcdef\n---\n"
        f"diff --git a/{VMALLOC} b/{VMALLOC}\n--- a/{VMALLOC}\n+++ b/{VMALLOC}\n"
        "@@ -1,4 +1,4 @@\n // SPDX-License-Identifier: GPL-2.0-only\n \n"
        "-/* First function: patches change it. */\n+/* Another comment. */\n"
        " int toy_alloc(int size)\n"
        "@@ -26,3 +26,3 @@\n /* Last function: patches change it too. */\n"
        "-int toy_free(long size)\n+int toy_free(short size)\n {\n",
    )
    return writer.series()


def test_patch_that_does_not_apply_is_named_and_changes_nothing(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = broken_series(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        go_to(work, series, 1)
        before = times(work.path)
        with pytest.raises(PatchError) as caught:
            go_to(work, series, 2)
        assert touched(work.path, before) == set()
    what = caught.value.what
    assert "0002-two.patch" in what
    assert VMALLOC in what
    assert "hunk 2" in what
    assert "line 26" in what
    assert "5.10.99" in what
    assert "\n" not in what
    assert "made for commit 0123456789ab" in caught.value.hint


def test_patch_with_a_changed_context_line_is_refused(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    writer = PatchWriter(tmp_path / "toy")
    patch = writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    # The outermost context line: patch(1) would shrug it off with its default fuzz.
    assert "\n \treturn size;\n" in patch.read_text()
    patch.write_text(patch.read_text().replace("\n \treturn size;\n", "\n \treturn  size;\n"))
    series = writer.series()
    with WorkTree(tree, cache) as work, pytest.raises(PatchError, match="hunk 1"):
        go_to(work, series, 1)


def test_patch_that_is_applied_already_says_so(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    writer = PatchWriter(tmp_path / "toy")
    text = (tree.path / VMALLOC).read_text()
    base = tmp_path / "older"
    (base / "mm").mkdir(parents=True)
    (base / VMALLOC).write_text(text.replace("\treturn size;", "\treturn size + 0;"))
    older = PatchWriter(tmp_path / "toy", base)
    older.add("one", VMALLOC, "\treturn size + 0;", "\treturn size;")
    series = older.series()
    assert writer.folder == older.folder
    with WorkTree(tree, cache) as work, pytest.raises(PatchError) as caught:
        go_to(work, series, 1)
    assert "has the patch already" in caught.value.hint


def test_patch_of_a_missing_file_names_it(tree: SourceTree, cache: Cache, tmp_path: Path) -> None:
    writer = PatchWriter(tmp_path / "toy")
    writer.add_raw(
        "0001-x.patch",
        "Subject: x\n\n---\n--- a/mm/none.c\n+++ b/mm/none.c\n@@ -1 +1 @@\n-a\n+b\n",
    )
    series = writer.series()
    with WorkTree(tree, cache) as work, pytest.raises(PatchError, match=r"mm/none\.c"):
        go_to(work, series, 1)


def test_patch_applies_inside_another_repository(
    tree: SourceTree, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # git apply passes over files outside the folder it runs in when that is in a repository.
    around = tmp_path / "around"
    (around / "tmp").mkdir(parents=True)
    subprocess.run(("git", "init", "-q", around), check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(around / "tmp"))
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        assert go_to(work, series, 1) == (VMALLOC,)


def test_show_after_an_interrupted_one_repairs_the_tree(
    tree: SourceTree, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        go_to(work, series, 0)
        written: list[str] = []

        def dies_at_the_second(root: Path, name: str, content: Content) -> None:
            if written:
                raise KeyboardInterrupt
            written.append(name)
            write_content(root, name, content)

        monkeypatch.setattr(worktree, "write_content", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            go_to(work, series, 2)
        monkeypatch.undo()
    # The next harness does not even know this series any more: state alone must tell it.
    other = replace(series, patches=())
    with WorkTree(tree, cache) as work:
        assert go_to(work, other, 0) == tuple(written)
        assert texts(work.path) == texts(tree.path)


def test_show_repairs_a_touched_file_that_was_edited(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        go_to(work, series, 1)
        write_content(work.path, VMALLOC, Content(b"int oops;\n"))
        go_to(work, series, 1)
        assert "return -12;" in (work.path / VMALLOC).read_text()


def test_work_tree_without_its_state_is_made_again(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    with WorkTree(tree, cache) as work:
        go_to(work, series, 2)
        folder = work.folder
    (folder / "state.json").unlink()
    with WorkTree(tree, cache) as work:
        assert texts(work.path) == texts(tree.path)


def test_work_tree_in_use_makes_a_second_user_wait(
    tree: SourceTree, cache: Cache, tmp_path: Path
) -> None:
    series = two_patches(tmp_path / "toy")
    waiting, entered = threading.Event(), threading.Event()

    def second() -> None:
        with WorkTree(tree, cache, lambda _: waiting.set()):
            entered.set()

    with WorkTree(tree, cache) as work:
        go_to(work, series, 0)
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_show_on_a_full_disk_is_one_clear_line(
    tree: SourceTree, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = two_patches(tmp_path / "toy")

    def full(root: Path, name: str, content: Content) -> None:  # noqa: ARG001
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worktree, "write_content", full)
    with (
        WorkTree(tree, cache) as work,
        pytest.raises(InfraError, match="no space left"),
    ):
        go_to(work, series, 1)
