# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from harness.host.disk_space import clear_when_full, require_space, says_full
from harness.model.errors import InfraError


def test_require_space_with_too_little_free_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    with pytest.raises(InfraError, match=r"no space for a tree: 1048576\.0 GiB needed") as caught:
        require_space(folder, 2**50, "a tree")
    assert "KERNEL_PATCH_HARNESS_CACHE" in caught.value.hint
    require_space(folder, 1, "a tree")
    assert not folder.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_clear_when_full_turns_enospc_into_an_infra_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(InfraError, match="no space left in"), clear_when_full(tmp_path, "x"):
        raise OSError(number, "full")


def test_clear_when_full_passes_other_errors(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), clear_when_full(tmp_path, "x"):
        raise PermissionError(errno.EACCES, "no")


def test_says_full_knows_the_words_of_tools() -> None:
    assert says_full("tar: x: Cannot write: No space left on device")
    assert not says_full("all is well")
