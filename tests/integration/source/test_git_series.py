# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of commits as series: which are one, what is proposed for others, and their ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.model.errors import UserError
from harness.source.git_series import COMMITS, check_edits, check_range, commit_in, from_range
from harness.source.patch_files import from_mbox, read_patch
from tests.integration.toy import VMALLOC, git, toy_repository


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return toy_repository(tmp_path / "my linux")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def commit(repository: Path, name: str, text: str = "x\n") -> None:
    (repository / name).write_text(text)
    git(repository, "add", name)
    git(repository, "commit", "-qm", f"add {name}")


def id_of(repository: Path, ref: str) -> str:
    return git(repository, "rev-parse", f"{ref}^{{commit}}").strip()


def refused(spec: str) -> UserError:
    with pytest.raises(UserError) as caught:
        check_range(spec)
    return caught.value


def works(hint: str) -> bool:
    """Whether the range that *hint* begins with, up to its explanation, is one."""
    check_range(hint.partition(" is ")[0])
    return True


def test_check_range_returns_the_ends(repository: Path) -> None:
    ends = check_range(f"git:{repository}#base..two")[1:]
    assert ends == (id_of(repository, "base"), id_of(repository, "two"))


def test_check_range_the_wrong_way_round_proposes_the_right_one(repository: Path) -> None:
    error = refused(f"git:{repository}#two..base")
    assert "the wrong way round: base is an ancestor of two" in error.what
    assert error.hint == f"git:{repository}#base..two"


@pytest.mark.parametrize("span", ["two..two", "two..HEAD"])
def test_check_range_that_is_empty_proposes_the_last_commit(repository: Path, span: str) -> None:
    error = refused(f"git:{repository}#{span}")
    assert "is empty" in error.what
    assert works(error.hint)


def test_check_range_not_descended_proposes_where_they_parted(repository: Path) -> None:
    git(repository, "checkout", "-qb", "side", "one")
    commit(repository, "README")
    error = refused(f"git:{repository}#two..side")
    assert f"two parted from side at {id_of(repository, 'one')[:12]}" in error.what
    assert error.hint.startswith(f"git:{repository}#{id_of(repository, 'one')[:12]}..side")
    assert works(error.hint)


def test_check_range_of_unrelated_commits(repository: Path) -> None:
    git(repository, "checkout", "-q", "--orphan", "other")
    git(repository, "commit", "-qm", "another root")
    assert "no commit in common" in refused(f"git:{repository}#two..other").what


def test_check_range_with_a_merge_proposes_what_follows_it(repository: Path) -> None:
    git(repository, "checkout", "-qb", "side", "base")
    commit(repository, "README")
    git(repository, "merge", "-q", "--no-edit", "two")
    merge = refused(f"git:{repository}#base..side")
    assert "holds a merge" in merge.what
    assert "git rebase base" in merge.hint
    commit(repository, "NEWS")
    error = refused(f"git:{repository}#base..side")
    assert "holds a merge" in error.what
    assert works(error.hint)


@pytest.mark.parametrize(
    ("span", "meant"),
    [
        ("two", "two~1..two"),
        ("base..", "base..HEAD"),
        ("..two", "A..two"),
        ("base...two", "base..two"),
    ],
)
def test_check_range_that_is_written_wrong_proposes_another(
    repository: Path, span: str, meant: str
) -> None:
    error = refused(f"git:{repository}#{span}")
    assert "is no range of commits" in error.what
    assert error.hint == f"git:{repository}#{meant}"


def test_check_range_of_a_url_asks_for_a_clone() -> None:
    error = refused("git:https://localhost/linux.git#a..b")
    assert "on this machine" in error.what
    assert error.hint.startswith("git clone https://localhost/linux.git")


def test_check_edits_of_a_range_proposes_its_beginning(repository: Path) -> None:
    with pytest.raises(UserError) as caught:
        check_edits(f"edits:{repository}#base..two")
    assert caught.value.hint.endswith(f"edits:{repository}#base")


def test_check_edits_begun_on_another_branch_is_refused(repository: Path) -> None:
    git(repository, "checkout", "-qb", "side", "one")
    commit(repository, "README")
    with pytest.raises(UserError, match="parted"):
        check_edits(f"edits:{repository}#two")


def test_patches_of_a_range_have_their_commit_and_author(repository: Path, store: Store) -> None:
    files = from_range(f"git:{repository}#base..two", store)
    patches = [read_patch(file) for file in files]
    assert [p.commit for p in patches] == [id_of(repository, ref) for ref in ("one", "two")]
    assert {p.author for p in patches} == {"A Tester <t@localhost>"}
    assert (files[0].parent / COMMITS).is_file()


def test_a_commit_made_anew_is_the_same_patch(repository: Path, store: Store) -> None:
    (before,) = from_range(f"git:{repository}#base..one", store)
    date = git(repository, "show", "-s", "--format=%aD", "one").strip()
    git(repository, "checkout", "-q", "base")
    git(repository, "cherry-pick", "--no-commit", "one")
    message = git(repository, "show", "-s", "--format=%B", "one")
    git(repository, "commit", "-qm", message, f"--date={date}")
    git(repository, "commit", "-q", "--amend", "--no-edit", "--reset-author", f"--date={date}")
    git(repository, "-c", "user.email=other@localhost", "tag", "again")
    (after,) = from_range(f"git:{repository}#base..again", store)
    assert read_patch(after).sha256 == read_patch(before).sha256


def test_mails_have_the_commit_in_their_first_line(
    repository: Path, store: Store, tmp_path: Path
) -> None:
    mbox = tmp_path / "series.mbox"
    mbox.write_text(git(repository, "format-patch", "--stdout", "base..two"))
    wanted = [id_of(repository, ref) for ref in ("one", "two")]
    assert [read_patch(file).commit for file in from_mbox(mbox, store)] == wanted
    git(repository, "format-patch", "-q", "-o", str(tmp_path / "mails"), "base..two")
    mails = sorted((tmp_path / "mails").iterdir())
    assert [read_patch(file).commit for file in mails] == wanted


@pytest.mark.parametrize(
    "text",
    [b"From: A <a@b>\n", b"From " + b"0" * 40 + b" Mon\n", b"From x@localhost Mon\n", b""],
)
def test_commit_in_a_patch_without_one_is_empty(text: bytes) -> None:
    assert commit_in(text) == ""


def test_read_patch_of_a_bare_diff_has_no_commit(tmp_path: Path) -> None:
    file = tmp_path / "one.diff"
    file.write_text(f"--- a/{VMALLOC}\n+++ b/{VMALLOC}\n@@ -1 +1 @@\n-a\n+b\n")
    assert (read_patch(file).commit, read_patch(file).author) == ("", "")


@pytest.mark.parametrize(
    ("head", "author"),
    [
        ("From: =?utf-8?q?J=C3=B6rg?= <j@localhost>", "Jörg <j@localhost>"),
        ("From: a <b, =?utf-8?q?[ ?=", "a <b, [ "),
        ("From: =?x?b?b.c?=@[ ", None),
        ("From: x\n =?utf-8?q?[ =?=2C?=", None),
        ("From:", ""),
    ],
)
def test_read_patch_of_any_author_is_text(tmp_path: Path, head: str, author: str | None) -> None:
    file = tmp_path / "one.patch"
    diff = f"--- a/{VMALLOC}\n+++ b/{VMALLOC}\n@@ -1 +1 @@\n-a\n+b\n"
    file.write_text(f"{head}\nSubject: [PATCH] one\n\n---\n{diff}")
    patch = read_patch(file)
    assert patch.title == "one"
    assert patch.author.splitlines() in ([], [patch.author])
    assert author is None or patch.author == author.strip()
