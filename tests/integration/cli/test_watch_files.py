# SPDX-License-Identifier: GPL-2.0-only
"""What counts as an edit, and how one takes the place of a run that is under way."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.cli.watch_files import Watcher, watched_paths
from harness.host.paths import Checkout
from harness.model.values import SourceTree
from harness.source.git_series import UNCOMMITTED, range_base
from harness.source.series import series_from

PATIENCE_S = 20.0


def git(folder: Path, *argv: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", folder, *who, *argv), check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "linux"
    (folder / "mm").mkdir(parents=True)
    (folder / "mm" / "a.c").write_text("one\ntwo\nthree\n")
    (folder / ".gitignore").write_text("*.o\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "begin")
    return folder


def series(tree: Path, tmp_path: Path, first: str = "") -> tuple[str, ...]:
    pristine = SourceTree("git:x", "5.10.1", "", "d", tree)
    spec = f"edits:{tree}" + (f"#{first}" if first else "")
    found = series_from(spec, Checkout(tmp_path), pristine, Store(tmp_path / "store"))
    return tuple(patch.title for patch in found.patches)


# ---------------------------------------------------------------- a work tree as a series


def test_edits_uncommitted_changes_are_the_last_patch(tree: Path, tmp_path: Path) -> None:
    (tree / "mm" / "a.c").write_text("one\n2\nthree\n")
    git(tree, "commit", "-qam", "second")
    (tree / "mm" / "a.c").write_bytes(b"one\n2\n\xe9\n")  # not UTF-8, as a few sources are
    (tree / "mm" / "new.c").write_text("new\n")
    (tree / "mm" / "a.o").write_text("ignored\n")
    assert series(tree, tmp_path) == (UNCOMMITTED,)
    assert series(tree, tmp_path, "HEAD~1") == ("second", UNCOMMITTED)


def test_edits_index_of_the_user_is_unchanged(tree: Path, tmp_path: Path) -> None:
    (tree / "mm" / "new.c").write_text("new\n")
    before = subprocess.check_output(("git", "-C", tree, "status", "--porcelain"))
    series(tree, tmp_path)
    assert subprocess.check_output(("git", "-C", tree, "status", "--porcelain")) == before


def test_the_patch_of_a_tree_gives_its_very_files(tree: Path, tmp_path: Path) -> None:
    (tree / "mm" / "a.c").write_bytes(b"one\n2\n\xe9\n")
    pristine = SourceTree("git:x", "5.10.1", "", "d", tree)
    store = Store(tmp_path / "store")
    found = series_from(f"edits:{tree}", Checkout(tmp_path), pristine, store)
    other = tmp_path / "other"
    (other / "mm").mkdir(parents=True)
    (other / "mm" / "a.c").write_text("one\ntwo\nthree\n")
    subprocess.run(("git", "apply", found.patches[0].file), cwd=other, check=True)
    assert (other / "mm" / "a.c").read_bytes() == b"one\n2\n\xe9\n"
    assert found.patches[0].touches == ("mm/a.c",)


def test_a_tree_without_edits_is_a_series_of_no_patch(tree: Path, tmp_path: Path) -> None:
    assert series(tree, tmp_path) == ()


@pytest.mark.parametrize(
    ("spec", "base"), [("edits:/l", "git:/l#HEAD"), ("edits:/l#v6.1", "git:/l#v6.1")]
)
def test_the_base_of_a_tree_is_the_commit_it_starts_from(spec: str, base: str) -> None:
    assert range_base(spec) == base


# ---------------------------------------------------------------- edits


def test_watcher_sees_edits_and_ignores_build_products(tree: Path) -> None:
    with Watcher((tree,)) as watcher:
        (tree / "mm" / "b.o").write_text("x")
        (tree / ".git" / "x").write_text("x")
        (tree / "mm" / "a.c").write_text("x")
        assert [path.name for path in watcher.wait(PATIENCE_S)] == ["a.c"]
        assert watcher.take() == ()


def test_watcher_edit_interrupts_the_main_thread(tree: Path) -> None:
    never = threading.Event()
    with Watcher((tree,)) as watcher:

        def work() -> None:
            with watcher.interruptible():
                (tree / "mm" / "a.c").write_text("x")
                never.wait(PATIENCE_S)

        with pytest.raises(KeyboardInterrupt):
            work()
        assert watcher.interrupted
        # Outside of it an edit only waits to be taken.
        (tree / "mm" / "b.c").write_text("x")
        watcher.take()
        (tree / "mm" / "c.c").write_text("x")
        assert watcher.wait(PATIENCE_S)


def test_watched_paths_are_those_of_the_plan(tree: Path, tmp_path: Path) -> None:
    folders = (tmp_path, tmp_path / "absent")
    found = watched_paths(folders, f"edits:{tree}#HEAD", f"git:{tree}#HEAD")
    assert found == (tmp_path, tree)
    assert watched_paths((), "vmalloc-nofail", "debian:5.10") == ()
