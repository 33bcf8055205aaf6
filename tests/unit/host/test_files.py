# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from harness.host.files import digest_files, key_of, write_whole


def test_key_of_parts_cut_elsewhere_differs() -> None:
    assert key_of("a", "bc") != key_of("ab", "c")
    assert key_of("a") == key_of("a")
    assert len(key_of()) == 64


def test_digest_files_depends_on_names_contents_and_modes(tmp_path: Path) -> None:
    def folder(name: str, **files: str) -> Path:
        path = tmp_path / name
        path.mkdir()
        for file, text in files.items():
            (path / file).write_text(text)
        return path

    one = folder("one", a="1", b="2")
    assert digest_files(one) == digest_files(folder("same", a="1", b="2"))
    assert digest_files(one) != digest_files(folder("other", a="1", b="3"))
    assert digest_files(one) != digest_files(folder("renamed", a="1", c="2"))
    assert digest_files(one) != digest_files(folder("more", a="1", b="2", c=""))
    assert digest_files(one / "a", one / "b") != digest_files(one / "b", one / "a")
    before = digest_files(one)
    (one / "a").chmod(0o755)
    assert digest_files(one) != before


def test_write_whole_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")

    def refuse(self: Path, target: Path) -> Path:  # noqa: ARG001
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="broken"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_write_whole_twice_leaves_the_new_file_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.json", "one")
    write_whole(tmp_path / "a.json", "two")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "two"
