# SPDX-License-Identifier: GPL-2.0-only
"""File systems on scratch disks, made and checked by the programs of this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import filesystem
from harness.errors import InfraError
from harness.filesystem import check_filesystem, make_filesystem

KINDS = ("ext4", "xfs")
SIZE = 320 << 20
# Each is (offset, bytes) of zeros: inodes of ext4, its journal's inode among them; XFS's first
# allocation group.
HOLES = {"ext4": (292 << 10, 64 << 10), "xfs": (512, 4096)}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not Path(filesystem._KINDS[name].check[0]).exists():
        pytest.skip(f"{name} cannot be checked on this host")
    return name


@pytest.fixture
def disk(kind: str, tmp_path: Path) -> Path:
    path = tmp_path / "scratch.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
    make_filesystem(kind, path)
    return path


def test_a_new_file_system_is_sound(kind: str, disk: Path) -> None:
    sound, said = check_filesystem(kind, disk)
    assert sound, said
    assert str(disk) not in said


def test_a_damaged_one_is_not_even_where_its_check_gives_up(kind: str, disk: Path) -> None:
    offset, size = HOLES[kind]
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    sound, said = check_filesystem(kind, disk)
    assert not sound
    assert said


def test_a_disk_that_is_not_there_is_our_fault(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"could not check gone\.img"):
        check_filesystem(kind, tmp_path / "gone.img")
