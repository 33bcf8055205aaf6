# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs archives that we write."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build.cpio import Entry, character_device, directory, regular, symlink, write_cpio

HEADER = 110


def archive(entries: Iterable[Entry]) -> bytes:
    out = io.BytesIO()
    write_cpio(entries, out)
    return out.getvalue()


def unpack(raw: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Read a newc archive as the format's description has it: name → mode, content, device."""
    found = {}
    at = 0
    while raw[at : at + 6] == b"070701":
        fields = [int(raw[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        _, mode, uid, gid, links, mtime, size, _, _, major, minor, namesize, check = fields
        assert (uid, gid, links, mtime, check) == (0, 0, 1, 0, 0)
        assert raw[at + HEADER + namesize - 1] == 0
        name = raw[at + HEADER : at + HEADER + namesize - 1].decode()
        start = (at + HEADER + namesize + 3) // 4 * 4
        if name != "TRAILER!!!":
            assert name not in found or mode == found[name][0]
            found[name] = (mode, raw[start : start + size], (major, minor))
        at = (start + size + 3) // 4 * 4
    assert at == len(raw)
    return found


def test_write_cpio_of_files_folders_links_and_devices() -> None:
    found = unpack(
        archive(
            [
                regular("/init", b"#!/bin/sh\n", 0o755),
                symlink("bin/sh", "busybox"),
                character_device("dev/console", 5, 1),
                directory("root", 0o700),
            ]
        )
    )
    assert found["init"] == (0o100755, b"#!/bin/sh\n", (0, 0))
    assert found["bin/sh"] == (0o120777, b"busybox", (0, 0))
    assert found["dev/console"] == (0o020600, b"", (5, 1))
    assert found["root"][0] == 0o040700


def test_parent_folders_are_made_once_and_come_first() -> None:
    found = unpack(archive([regular("a/b/c", b""), regular("a/b/d", b""), directory("a", 0o711)]))
    assert list(found) == ["a", "a/b", "a/b/c", "a/b/d"]
    assert found["a"][0] == 0o040711
    assert found["a/b"][0] == 0o040755


def test_order_of_entries_changes_no_byte() -> None:
    entries = [regular("b", b"1"), regular("a/x", b"22"), symlink("c", "b")]
    assert archive(entries) == archive(entries[::-1])


def test_archives_can_be_concatenated() -> None:
    first, second = archive([regular("a", b"1")]), archive([regular("b", b"22222")])
    assert set(unpack(first + second)) == {"a", "b"}


@pytest.mark.parametrize("path", ["", "/", "../a", "a/../../b", "."])
def test_path_outside_the_root_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="below the root"):
        archive([regular(path, b"")])


def test_two_entries_of_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="two entries for /a/b"):
        archive([regular("a/b", b"1"), regular("/a//b", b"2")])


def test_entry_called_as_the_trailer_is_refused() -> None:
    with pytest.raises(ValueError, match="would end the archive"):
        archive([regular("/TRAILER!!!", b"")])
    assert set(unpack(archive([regular("a/TRAILER!!!", b"1"), regular("b", b"2")]))) == {
        *("a", "a/TRAILER!!!", "b")
    }


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).filter(
    lambda name: name not in (".", "..", "TRAILER!!!")
)


@given(st.dictionaries(NAMES, st.binary(max_size=64), max_size=8))
def test_round_trip_of_any_content(files: dict[str, bytes]) -> None:
    found = unpack(archive(regular(name, content) for name, content in files.items()))
    assert {name: content for name, (_, content, _) in found.items()} == files


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio program on this host")
def test_cpio_program_reads_the_same() -> None:
    raw = archive([regular("init", b"x" * 5, 0o755), symlink("bin/sh", "busybox")])
    done = subprocess.run(("cpio", "-t", "--quiet"), input=raw, capture_output=True, check=True)
    assert done.stdout.split() == [b"bin", b"bin/sh", b"init"]
