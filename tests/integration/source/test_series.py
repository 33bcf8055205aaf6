# SPDX-License-Identifier: GPL-2.0-only
"""Series in every layout that people keep them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cache.store import Store
from harness.host.paths import Cache, Checkout
from harness.model.errors import UserError
from harness.model.values import Series, SourceTree
from harness.source.fetch import fetch
from harness.source.git_series import range_base
from harness.source.series import absolute_spec, check_series, series_from, series_names, short_name
from tests.integration.toy import (
    HEADER,
    VMALLOC,
    PatchWriter,
    git,
    ignore,
    toy_repository,
    two_patches,
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def store(cache: Cache) -> Store:
    return Store(cache.store)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path / "checkout")
    checkout.patches.mkdir(parents=True)
    return checkout


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return SourceTree("toy", "5.10.99", "toy", "d" * 64, tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return toy_repository(tmp_path / "repository")


def check(series: Series) -> None:
    assert [p.number for p in series.patches] == [1, 2]
    assert [p.touches for p in series.patches] == [(VMALLOC,), (HEADER,)]
    assert series.covers.startswith("5.10")


def test_series_by_name(checkout: Checkout, tree: SourceTree, store: Store) -> None:
    two_patches(checkout.patches / "toy")
    series = series_from("toy", checkout, tree, store)
    check(series)
    assert series.name == "toy"
    assert series_names(checkout) == ("toy",)


def test_series_of_an_unknown_name_suggests_the_nearest(
    checkout: Checkout, tree: SourceTree, store: Store
) -> None:
    two_patches(checkout.patches / "vmalloc")
    with pytest.raises(UserError, match="unknown series 'vmaloc'") as caught:
        series_from("vmaloc", checkout, tree, store)
    assert caught.value.hint == "did you mean 'vmalloc'?"


def test_series_none_is_the_kernel_as_it_is(
    checkout: Checkout, tree: SourceTree, store: Store
) -> None:
    series = series_from("none", checkout, tree, store)
    assert (series.name, series.covers, series.positions) == ("none", tree.version, (0,))
    assert series.applied(0) == ()
    assert tree.origin in series.title


def test_series_in_a_folder_with_a_series_toml(
    checkout: Checkout, tree: SourceTree, store: Store, tmp_path: Path
) -> None:
    two_patches(tmp_path / "mine")
    series = series_from(str(tmp_path / "mine"), checkout, tree, store)
    check(series)
    assert series.name == "mine"


def test_series_in_a_folder_of_format_patch(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "my patches"
    git(repository, "format-patch", "-q", "--cover-letter", "-o", str(folder), "base..two")
    assert len(list(folder.iterdir())) == 3
    series = series_from(str(folder), checkout, tree, store)
    check(series)
    assert series.patches[0].title == "mm: change one"
    assert series.name == "my-patches"


def test_series_in_quilts_order(
    checkout: Checkout, tree: SourceTree, store: Store, tmp_path: Path
) -> None:
    folder = two_patches(tmp_path / "mine").folder
    series = series_from(str(folder), checkout, tree, store)
    check(series)
    order = (folder / "series").read_text().splitlines()
    (folder / "series").write_text("\n".join(reversed(order)))
    swapped = series_from(str(folder), checkout, tree, store)
    assert [p.touches for p in swapped.patches] == [(HEADER,), (VMALLOC,)]


def test_series_in_an_mbox_out_of_order_with_cover_and_answers(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mails"
    git(repository, "format-patch", "-q", "-v2", "--cover-letter", "-o", str(folder), "base..two")
    cover, one, two = sorted(folder.iterdir())
    answer = (
        "From x@localhost Mon Sep 17 00:00:00 2001\nFrom: X <x@localhost>\n"
        "Subject: Re: [PATCH v2 1/2] mm: change one\n\n> diff --git a/x b/x\n> +y\n\nGood.\n\n"
    )
    # A mail client's encoding: soft line breaks and escapes inside the diff.
    plain = one.read_text()
    head, _, body = plain.partition("\n\n")
    encoded = body.replace("=", "=3D").replace("return -12;", "return =2D12;")
    quoted = f"{head}\nContent-Transfer-Encoding: quoted-printable\n\n{encoded}\n"
    mbox = tmp_path / "thread.mbox"
    mbox.write_text(cover.read_text() + "\n" + two.read_text() + "\n" + answer + quoted)

    series = series_from(str(mbox), checkout, tree, store)
    check(series)
    assert [p.title for p in series.patches] == ["mm: change one", "mm: change two"]
    assert "+\t\treturn -12;" in series.patches[0].file.read_text()
    assert series.patches[0].file.is_relative_to(store.root / "series")
    assert series_from(str(mbox), checkout, tree, store) == series


def test_series_from_git_damaged_in_the_store_is_cut_again(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path
) -> None:
    spec = f"git:{repository}#base..two"
    series = series_from(spec, checkout, tree, store)
    file = series.patches[0].file
    text = file.read_text()
    file.write_text(text.replace("-12", "-13"))
    assert series_from(spec, checkout, tree, store) == series
    assert file.read_text() == text


def test_series_of_a_git_range_and_its_base(
    checkout: Checkout, tree: SourceTree, cache: Cache, store: Store, repository: Path
) -> None:
    spec = f"git:{repository}#base..two"
    series = series_from(spec, checkout, tree, store)
    check(series)
    base = fetch(range_base(spec), cache, "", ignore)
    assert base.version == "5.10.99"
    assert "return -1;" in (base.path / VMALLOC).read_text()


def test_series_of_a_range_with_a_merge_is_refused(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path
) -> None:
    git(repository, "checkout", "-qb", "side", "base")
    (repository / "README").write_text("x\n")
    git(repository, "add", "README")
    git(repository, "commit", "-qm", "side")
    git(repository, "merge", "-q", "--no-edit", "two")
    with pytest.raises(UserError, match="holds a merge"):
        series_from(f"git:{repository}#base..side", checkout, tree, store)


@pytest.mark.parametrize("span", ["base", "base..", "..two", "base...two", "base..none"])
def test_series_of_a_malformed_range_is_refused(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path, span: str
) -> None:
    with pytest.raises(UserError):
        series_from(f"git:{repository}#{span}", checkout, tree, store)


def test_series_in_an_empty_folder_is_refused(
    checkout: Checkout, tree: SourceTree, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no patch"):
        series_from(str(tmp_path / "none"), checkout, tree, store)


@pytest.mark.parametrize("bare", [False, True])
def test_check_series_of_a_repository_without_a_range_names_the_spelling(
    repository: Path, tmp_path: Path, bare: bool
) -> None:
    if bare:
        git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "toy.git"))
    place = tmp_path / "toy.git" if bare else repository
    with pytest.raises(UserError, match="is a git repository") as caught:
        check_series(str(place))
    assert caught.value.hint.startswith(f"git:{place}#A..B")
    assert ("edits:" in caught.value.hint) is not bare


def test_check_series_of_patches_kept_in_a_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "format-patch", "-q", "-o", str(tmp_path / "mine"), "base..two")
    git(tmp_path / "mine", "init", "-q")
    check_series(str(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("git:/src/linux#work~5..work", "git-linux"),
        ("git:/src/linux/#v6.1..topic/my#1", "git-linux"),
        ("git:/src/my linux.git#a..b", "git-my-linux"),
        ("git:/src/linux/.git#a..b", "git-linux"),
        ("edits:/src/linux", "edits-linux"),
        ("/some/where/my-series/", "my-series"),
        ("/some/where/v6.1", "v6.1"),
        ("mails/fix?#50%.mbox", "fix-50"),
        ("vmalloc-nofail", "vmalloc-nofail"),
        ("~~~", "series"),
    ],
)
def test_short_name_is_stable_and_fit_for_a_folder(spec: str, name: str) -> None:
    assert short_name(spec) == name


def test_absolute_spec_has_its_path_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.mbox").touch()
    assert [
        absolute_spec(spec)
        for spec in ("my.mbox", "git:../x#a..b", "edits:.", "dir:y/", "tar:z.tar#sha256=0")
    ] == [
        f"{tmp_path}/my.mbox",
        f"git:{tmp_path.parent}/x#a..b",
        f"edits:{tmp_path}",
        f"dir:{tmp_path}/y",
        f"tar:{tmp_path}/z.tar#sha256=0",
    ]


@pytest.mark.parametrize(
    "spec", ["", "debian:5.10", "git:https://localhost/x.git#v1", "git:#a", "gone", "git:/a#b/c"]
)
def test_absolute_spec_without_a_relative_path_is_as_it_was(spec: str) -> None:
    assert absolute_spec(spec) == spec


def test_series_name_of_two_ranges_of_a_repository_is_the_same(
    checkout: Checkout, tree: SourceTree, store: Store, repository: Path
) -> None:
    names = {
        series_from(f"git:{repository}#{span}", checkout, tree, store).name
        for span in ("base..two", "one..two")
    }
    assert names == {"git-repository"}


def test_patchset_hash_of_base_is_empty(tmp_path: Path) -> None:
    writer = PatchWriter(tmp_path / "toy")
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    series = writer.series()
    assert series.patchset_hash(0) == ""
    assert len(series.patchset_hash(1)) == 64
