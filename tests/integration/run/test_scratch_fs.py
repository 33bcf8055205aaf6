# SPDX-License-Identifier: GPL-2.0-only
"""File systems on scratch disks, made and checked by the programs of this host."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import InfraError
from harness.run import scratch_fs
from harness.run.scratch_fs import check_filesystem, make_filesystem

KINDS = ("ext4", "xfs")
SIZE = 320 << 20
# Each is (offset, bytes) of zeros: inodes of ext4, its journal's inode among them; XFS's first
# allocation group.
HOLES = {"ext4": (292 << 10, 64 << 10), "xfs": (512, 4096)}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not Path(scratch_fs._KINDS[name].check[0]).exists():
        pytest.skip(f"{name} cannot be checked on this host")
    return name


@pytest.fixture
def disk(kind: str, tmp_path: Path) -> Path:
    path = tmp_path / "scratch.img"
    with path.open("wb") as file:
        file.truncate(SIZE)
    make_filesystem(kind, path)
    return path


def test_new_file_system_is_sound(kind: str, disk: Path) -> None:
    found = check_filesystem(kind, disk)
    assert found.sound, found
    assert str(disk) not in found.said


def test_damaged_file_system_is_unsound_even_where_check_gives_up(kind: str, disk: Path) -> None:
    offset, size = HOLES[kind]
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    found = check_filesystem(kind, disk)
    assert found.sound is False
    assert found.said


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_erased_file_system_is_unsound(kind: str, disk: Path, byte: bytes) -> None:
    """Its check may take it for something else then."""
    magic = {"ext4": b"\x53\xef", "xfs": b"XFSB"}[kind]
    content = disk.read_bytes()
    with disk.open("r+b") as file:
        at = content.find(magic)
        while at >= 0:
            file.seek(at // 1024 * 1024)
            file.write(byte * 1024)
            at = content.find(magic, at + 1)
    found = check_filesystem(kind, disk)
    assert found.sound is False, found
    assert found.said


def checked_by(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell's *script* be the check of a file system."""
    kind = scratch_fs._Kind("none", (), ("/bin/sh", "-c", script))
    monkeypatch.setitem(scratch_fs._KINDS, "odd", kind)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    (disk := tmp_path / "scratch.img").touch()
    return disk


def test_file_system_check_without_end_has_no_result(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked_by(monkeypatch, "echo $$; exec sleep 600")
    monkeypatch.setattr(scratch_fs, "CHECK_S", 0.5)
    found = check_filesystem("odd", odd)
    assert found.sound is None
    assert "its check did not end within " in found.why
    assert not Path("/proc", found.said.strip()).exists()


def test_file_system_check_ends_with_guest(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked_by(monkeypatch, "exec sleep 600")
    found = check_filesystem("odd", odd, lambda: False)
    assert (found.sound, found.why) == (None, "it was stopped")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("kill -SEGV $$", "its check was ended by signal 11"),
        ("yes | head -200000; sleep 600", "its check does not stop printing"),
        ("echo out of memory; exit 8", "its check gave up with 8"),
    ],
)
def test_failing_file_system_check_has_no_result(
    odd: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    checked_by(monkeypatch, script)
    found = check_filesystem("odd", odd)
    assert (found.sound, found.why) == (None, why)


def test_file_system_without_mkfs_is_infra_error(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = scratch_fs._Kind("oddprogs", ("/nowhere/mkfs",), ("/nowhere/fsck",))
    monkeypatch.setitem(scratch_fs._KINDS, "odd", kind)
    for ask in (check_filesystem, make_filesystem):
        with pytest.raises(InfraError, match="is missing on this host") as caught:
            ask("odd", odd)
        assert "oddprogs" in caught.value.hint


def test_file_system_on_missing_disk_is_infra_error(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"could not check gone\.img"):
        check_filesystem(kind, tmp_path / "gone.img")
