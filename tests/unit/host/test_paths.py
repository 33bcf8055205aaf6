# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.host.paths import APP, default_cache, find_checkout
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
