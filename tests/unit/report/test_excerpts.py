# SPDX-License-Identifier: GPL-2.0-only
"""Text out of guests: visible whatever it is, bounded however long, and from the run alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.text import one_line, visible
from harness.report.excerpts import Excerpt, clip, exhibits, inside, read_excerpt, readable

XML_FORBIDS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode ✓\n\tindented", "plain text, ünïcode ✓\n\tindented"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("one\r\ntwo\rthree", "one\ntwo\\x0dthree"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("\u202eevil\u2028", r"\u202eevil\u2028"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("\ufffe", r"\ufffe"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_what_is_visible_is_fit_for_everything(text: str) -> None:
    shown = visible(text)

    shown.encode("utf-8")
    assert not XML_FORBIDS.search(shown)
    assert "\x1b" not in shown
    assert visible(shown) == shown


@given(st.binary())
def test_no_byte_is_dropped_in_silence(data: bytes) -> None:
    shown = readable(data)

    assert all(f"\\x{byte:02x}" in shown for byte in data if byte < 0x20 and byte not in b"\t\n\r")
    assert len(shown) >= len(data.decode("utf-8", "ignore").replace("\r\n", "\n"))


def test_one_line() -> None:
    assert one_line(" two\n  lines\x1b ") == r"two lines\x1b"
    assert one_line("x" * 1000, 10) == "x" * 9 + "…"


def test_clip_keeps_both_ends() -> None:
    assert clip("short\x00", 100) == r"short\x00"
    clipped = clip("a" * 500 + "b" * 500, 100)
    assert clipped == "a" * 50 + "\n[900 characters left out]\n" + "b" * 50


def test_short_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\r\nb\xff\r\n")

    assert read_excerpt(tmp_path, "log") == Excerpt("a\nb\\xff\n", size=7)


def test_long_file_is_cut_between_lines(tmp_path: Path) -> None:
    lines = [f"line {n:05}\n" for n in range(10_000)]
    (tmp_path / "log").write_text("".join(lines))

    excerpt = read_excerpt(tmp_path, "log", 1000)

    assert excerpt is not None
    assert excerpt.size == 110_000
    assert excerpt.head.splitlines(keepends=True) == lines[:45]
    assert excerpt.tail.splitlines(keepends=True) == lines[-45:]
    assert excerpt.left_out == 110_000 - len(excerpt.head) - len(excerpt.tail)
    assert f"[{excerpt.left_out} bytes left out]" in excerpt.text


def test_one_endless_line_is_cut_anyhow(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 10_000)

    excerpt = read_excerpt(tmp_path, "log", 1000)

    assert excerpt == Excerpt("x" * 500, "x" * 500, 10_000, 9000)


def test_binary_file_is_not_shown_but_a_console_with_a_few_nuls_is(tmp_path: Path) -> None:
    (tmp_path / "trace.dat").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "console.log").write_bytes(b"\0\0[    0.000000] booting\r\n")

    binary = read_excerpt(tmp_path, "trace.dat")
    console = read_excerpt(tmp_path, "console.log")

    assert binary == Excerpt("", size=2560, binary=True)
    assert console is not None
    assert console.head == "\\x00\\x00[    0.000000] booting\n"


@pytest.mark.parametrize(
    "name",
    ["", "..", "../secret", "a/../../secret", "/etc/passwd", "link", "link/secret", "gone", "\0"],
)
def test_nothing_outside_of_the_run_is_read(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    (run / "a").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (run / "link").symlink_to(tmp_path / ("secret" if name == "link" else "."))

    assert inside(run, name) is None
    assert read_excerpt(run, name) is None


def test_exhibits_are_in_the_order_in_which_they_are_wanted() -> None:
    found = exhibits(
        [
            ("artifact x", "cells/a/artifacts/x"),
            ("argv", "cells/a/argv.txt"),
            ("console", "cells/a/console.log"),
            ("heartbeat", "cells/a/heartbeat.txt"),
            ("test", "cells/a/test.log"),
        ]
    )

    assert [e.label for e in found] == ["KTAP log", "console log", "argv", "x", "heartbeat"]
    assert [e.artifact for e in found] == [False, False, False, True, False]
