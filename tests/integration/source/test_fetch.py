# SPDX-License-Identifier: GPL-2.0-only
"""Trees from folders, archives and repositories; Debian's are in test_apt.py."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.host.paths import Cache
from harness.model.errors import InfraError, UserError
from harness.source import trees
from harness.source.fetch import fetch, schemes
from harness.source.schemes import directory
from tests.integration.toy import TOYKERNEL, VMALLOC, ignore


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A toy kernel that may be edited."""
    copy = tmp_path / "linux"
    shutil.copytree(TOYKERNEL, copy)
    return copy


def git(folder: Path, *argv: str) -> str:
    who = ("-c", "user.name=T", "-c", "user.email=t@localhost")
    words = ("git", *who, "-C", str(folder), *argv)
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(folder: Path) -> Path:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    git(folder, "tag", "v1")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and ".git" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def test_schemes_each_have_a_help_line() -> None:
    assert set(schemes()) == {"debian", "dir", "git", "tar"}
    assert all(module.HELP for module in schemes().values())


@pytest.mark.parametrize("spec", ["nothing", "http://x", "dir:", "deb:5.10"])
def test_fetch_of_a_malformed_spec_names_the_schemes(spec: str, cache: Cache) -> None:
    with pytest.raises(UserError, match="is no kernel source") as caught:
        fetch(spec, cache, "", ignore)
    assert "debian:VERSION" in caught.value.hint


# ---------------------------------------------------------------- dir


def test_fetch_of_a_folder_copies_it(folder: Path, cache: Cache) -> None:
    tree = fetch(f"dir:{folder}", cache, "", ignore)
    assert tree.version == "5.10.99"
    assert tree.path.is_relative_to(cache.sources)
    assert files(tree.path) == files(folder)
    (folder / VMALLOC).write_text("edited\n")
    assert "toy_alloc" in (tree.path / VMALLOC).read_text()


def test_fetch_of_an_edited_folder_is_another_tree(folder: Path, cache: Cache) -> None:
    spec = f"dir:{folder}"
    first = fetch(spec, cache, "", ignore)
    text = (folder / VMALLOC).read_text()
    (folder / VMALLOC).write_text(f"{text}\nint more;\n")
    second = fetch(spec, cache, "", ignore)
    assert second.digest != first.digest
    assert "int more;" in (second.path / VMALLOC).read_text()
    (folder / VMALLOC).write_text(text)
    assert fetch(spec, cache, "", ignore) == first


def test_fetch_of_an_untouched_folder_reads_no_file(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(f"dir:{folder}", cache, "", ignore)

    def never(file: Path) -> str:
        raise AssertionError(f"{file} was read")

    monkeypatch.setattr(directory, "sha256_of", never)
    assert fetch(f"dir:{folder}", cache, "", ignore) == first


def test_fetch_of_the_same_content_elsewhere_is_the_same_tree(
    folder: Path, cache: Cache, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    one = fetch(f"dir:{folder}", cache, "", ignore)
    two = fetch(f"dir:{tmp_path / 'copy'}", cache, "", ignore)
    assert (one.digest, one.path) == (two.digest, two.path)


def test_fetch_of_a_git_folder_leaves_out_ignored_files(repository: Path, cache: Cache) -> None:
    first = fetch(f"dir:{repository}", cache, "", ignore)
    (repository / ".gitignore").write_text("*.o\n")
    (repository / "new.c").write_text("int x;\n")
    (repository / "built.o").write_text("x")
    (repository / "Kconfig").unlink()
    (repository / "Kconfig").write_text("# changed\n")
    git(repository, "rm", "-q", "kernel/feature.c")
    tree = fetch(f"dir:{repository}", cache, "", ignore)
    assert tree.digest != first.digest
    assert (tree.path / "new.c").exists()
    assert not (tree.path / "built.o").exists()
    assert not (tree.path / "kernel/feature.c").exists()
    assert not (tree.path / ".git").exists()


def test_fetch_of_a_folder_that_was_built_in_is_refused(folder: Path, cache: Cache) -> None:
    (folder / ".config").touch()
    with pytest.raises(UserError, match="was built in") as caught:
        fetch(f"dir:{folder}", cache, "", ignore)
    assert "mrproper" in caught.value.hint


def test_fetch_of_a_folder_without_a_kernel_is_refused(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a kernel tree"):
        fetch(f"dir:{tmp_path}", cache, "", ignore)
    with pytest.raises(UserError, match="no folder"):
        fetch(f"dir:{tmp_path / 'none'}", cache, "", ignore)


# ---------------------------------------------------------------- tar


def tarball(folder: Path, file: Path, *, top: str | None) -> str:
    where = ("-C", folder.parent, folder.name) if top else ("-C", folder, ".")
    subprocess.run(("tar", "-czf", file, *where), check=True)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("top", ["linux", None])
def test_fetch_of_an_archive_with_or_without_a_top_folder(
    folder: Path, cache: Cache, tmp_path: Path, top: str | None
) -> None:
    sha256 = tarball(folder, tmp_path / "x.tar.gz", top=top)
    tree = fetch(f"tar:{tmp_path / 'x.tar.gz'}#sha256={sha256}", cache, "", ignore)
    assert tree.version == "5.10.99"
    assert tree.digest == sha256
    assert files(tree.path) == files(folder)
    # Once kept, the archive itself is not needed.
    (tmp_path / "x.tar.gz").unlink()
    assert fetch(tree.spec, cache, "", ignore) == tree


def test_fetch_of_an_archive_with_another_sha256_is_refused(
    folder: Path, cache: Cache, tmp_path: Path
) -> None:
    sha256 = tarball(folder, tmp_path / "x.tar.gz", top="linux")
    with pytest.raises(UserError, match=f"its sha256 is {sha256}"):
        fetch(f"tar:{tmp_path / 'x.tar.gz'}#sha256={'0' * 64}", cache, "", ignore)
    with pytest.raises(UserError, match="its sha256 is missing") as caught:
        fetch(f"tar:{tmp_path / 'x.tar.gz'}", cache, "", ignore)
    assert f"#sha256={sha256}" in caught.value.hint
    assert list(cache.sources.glob("*/tree")) == []


def test_fetch_of_a_file_that_is_no_archive_is_refused(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("no archive")
    sha256 = hashlib.sha256(b"no archive").hexdigest()
    with pytest.raises(UserError, match="tar cannot unpack"):
        fetch(f"tar:{tmp_path / 'x.tar'}#sha256={sha256}", cache, "", ignore)
    with pytest.raises(UserError, match="no archive"):
        fetch(f"tar:{tmp_path / 'none.tar'}#sha256={sha256}", cache, "", ignore)
    assert leftovers(cache) == []


# ---------------------------------------------------------------- git


@pytest.mark.parametrize("ref", ["v1", "main", "HEAD"])
def test_fetch_of_a_commit(repository: Path, cache: Cache, ref: str) -> None:
    expected = files(repository)
    (repository / VMALLOC).write_text("not committed\n")
    tree = fetch(f"git:{repository}#{ref}", cache, "", ignore)
    assert files(tree.path) == expected
    assert tree.digest == git(repository, "rev-parse", "HEAD^{tree}")
    # The repository is as it was: neither index nor work tree were used.
    assert (repository / VMALLOC).read_text() == "not committed\n"
    assert git(repository, "status", "--porcelain") == f"M {VMALLOC}"


def test_fetch_of_a_branch_that_moved_is_another_tree(repository: Path, cache: Cache) -> None:
    first = fetch(f"git:{repository}#main", cache, "", ignore)
    (repository / VMALLOC).write_text("int other;\n")
    git(repository, "commit", "-qam", "other")
    second = fetch(f"git:{repository}#main", cache, "", ignore)
    assert second.digest != first.digest
    assert (second.path / VMALLOC).read_text() == "int other;\n"
    # An older commit than the one checked out: the repository's own index is not touched.
    fresh = Cache(cache.root / "fresh")
    assert fetch(f"git:{repository}#v1", fresh, "", ignore).digest == first.digest
    assert git(repository, "status", "--porcelain") == ""


def test_fetch_from_a_bare_repository_and_from_a_url(
    repository: Path, cache: Cache, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(bare))
    by_path = fetch(f"git:{bare}#v1", cache, "", ignore)
    by_url = fetch(f"git:file://{bare}#v1", cache, "", ignore)
    assert by_url.digest == by_path.digest
    shutil.rmtree(bare)
    assert fetch(f"git:file://{bare}#v1", cache, "", ignore) == by_url


def test_fetch_of_a_missing_ref_is_refused(repository: Path, cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no commit 'v9'"):
        fetch(f"git:{repository}#v9", cache, "", ignore)
    with pytest.raises(UserError, match="names no commit"):
        fetch(f"git:{repository}", cache, "", ignore)
    with pytest.raises(UserError, match="no git repository"):
        fetch(f"git:{tmp_path / 'none'}#v1", cache, "", ignore)
    with pytest.raises(UserError, match="has no 'v9'"):
        fetch(f"git:file://{repository}#v9", cache, "", ignore)
    with pytest.raises(InfraError, match="git cannot fetch"):
        fetch(f"git:file://{tmp_path / 'none'}#v1", cache, "", ignore)


# ---------------------------------------------------------------- keeping


def leftovers(cache: Cache) -> list[str]:
    return [path.name for path in cache.sources.glob(".new-*")]


def test_fetch_of_a_tree_edited_in_the_cache_makes_it_again(folder: Path, cache: Cache) -> None:
    tree = fetch(f"dir:{folder}", cache, "", ignore)
    os.chmod(tree.path / VMALLOC, 0o777)  # noqa: PTH101
    (tree.path / "extra.c").touch()
    again = fetch(f"dir:{folder}", cache, "", ignore)
    assert again == tree
    assert files(again.path) == files(folder)


def test_interrupted_fetch_leaves_nothing(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> str:
        assert (path / VMALLOC).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(trees, "fingerprint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(f"dir:{folder}", cache, "", ignore)
    monkeypatch.undo()
    assert leftovers(cache) == []
    assert list(cache.sources.glob("*/tree")) == []
    assert fetch(f"dir:{folder}", cache, "", ignore).version == "5.10.99"


def test_fetch_removes_leftovers_of_a_killed_one(folder: Path, cache: Cache) -> None:
    tree = fetch(f"dir:{folder}", cache, "", ignore)
    half = cache.sources / f".new-{tree.digest[:16]}-dead"
    half.mkdir()
    shutil.rmtree(tree.path)
    fetch(f"dir:{folder}", cache, "", ignore)
    assert leftovers(cache) == []


def test_fetch_without_space_begins_nothing(
    folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "TREE_BYTES", 2**60)
    with pytest.raises(InfraError, match="no space for the source of dir:"):
        fetch(f"dir:{folder}", cache, "", ignore)
    assert list(cache.sources.glob("*/tree")) == []
