# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from harness.host.paths import (
    APP,
    cache_at,
    default_cache,
    find_checkout,
    require_usable,
    require_writable,
)
from harness.model.errors import UserError


def test_checkout_is_found_from_a_folder_deep_in_it(tmp_path: Path) -> None:
    for name in ("guest-tests/tests/one", "kconfigs"):
        (tmp_path / name).mkdir(parents=True)
    assert find_checkout(tmp_path / "guest-tests" / "tests" / "one").root == tmp_path


def test_checkout_outside_of_any_is_the_one_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "kconfigs").mkdir()
    assert find_checkout(tmp_path).root == Path(__file__).resolve().parents[3]


def test_default_cache_is_xdgs_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERNEL_PATCH_HARNESS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache().root == tmp_path / APP
    monkeypatch.setenv("KERNEL_PATCH_HARNESS_CACHE", str(tmp_path / "mine"))
    assert default_cache().root == tmp_path / "mine"


def test_checkout_asked_for_by_name_is_that_one_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no checkout of the harness at or above {tmp_path}"):
        find_checkout(tmp_path, only_there=True)


# ---------------------------------------------------------------- places that cannot be used

USABLE = ("plain", "é漢", "a~b", "a@b+c=d", "a!b", "a{b}", "a^b", "a[b", "a?b", "-a.b_c")
UNUSABLE = (
    " ",
    ",",
    "\t",
    "\n",
    ":",
    '"',
    "'",
    "#",
    "$",
    "%",
    "&",
    ";",
    "(",
    ")",
    "*",
    "|",
    "<",
    "`",
)


@pytest.mark.parametrize("name", USABLE)
def test_cache_that_a_kernel_can_be_built_in_is_taken(tmp_path: Path, name: str) -> None:
    require_usable(cache_at(tmp_path / name, "--cache"))
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("odd", [*UNUSABLE, "[x]", "\udce9"])
def test_cache_that_no_kernel_can_be_built_in_is_one_clear_line(tmp_path: Path, odd: str) -> None:
    cache = cache_at(tmp_path / f"a{odd}b", "--cache")
    with pytest.raises(UserError, match="the cache's path holds") as caught:
        require_usable(cache)
    assert "\n" not in caught.value.what
    assert "--cache FOLDER" in caught.value.hint


def test_cache_behind_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    with pytest.raises(UserError, match="' '"):
        require_usable(cache_at(tmp_path / "link", "--cache"))


@pytest.mark.parametrize("below", ["", "x/y"])
def test_file_where_a_folder_is_due_names_the_option(
    tmp_path: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / below
    for check in (cache_at, require_writable):
        with pytest.raises(UserError, match=f"^--place names {place}, and .*/file is no folder"):
            check(place, "--place")
    monkeypatch.setenv("KERNEL_PATCH_HARNESS_CACHE", str(place))
    with pytest.raises(UserError, match=r"^KERNEL_PATCH_HARNESS_CACHE names"):
        default_cache()


@pytest.mark.parametrize(("number", "why"), [(errno.EROFS, "read-only"), (errno.ENOSPC, "full")])
@pytest.mark.parametrize("there", [True, False])
def test_folder_that_may_not_be_written_asks_for_another(
    tmp_path: Path, there: bool, number: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise OSError(number, "no")

    folder = tmp_path if there else tmp_path / "x" / "y"
    require_writable(folder, "--out")
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(UserError, match=f"nothing can be written in {folder}.*{why}") as caught:
        require_writable(folder, "--out")
    assert "--out FOLDER" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_folder_that_nobody_can_make_is_refused_by_its_option() -> None:
    with pytest.raises(UserError, match=r"/proc/nothing.*read-only") as caught:
        require_writable(Path("/proc/nothing/below"), "--out")
    assert "--out FOLDER" in caught.value.hint
