# SPDX-License-Identifier: GPL-2.0-only
"""Untrusted text: visible whatever it is, on one line, bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.text import clip, md_cell, one_line, visible

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
        (b"\x1b[2Jhi\x07 \x00\x7f", r"\x1b[2Jhi\x07 \x00\x7f"),
        ("\u009b31m€\t".encode(), "\\x9b31m€\t"),
        (b"\xe2\x82", r"\xe2\x82"),
    ],
)
def test_visible_escapes_what_cannot_be_seen(text: str | bytes, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_visible_of_any_text_is_fit_for_xml_and_terminals(text: str) -> None:
    shown = visible(text)

    shown.encode("utf-8")
    assert not XML_FORBIDS.search(shown)
    assert "\x1b" not in shown
    assert visible(shown) == shown


@given(st.binary())
def test_visible_of_any_bytes_drops_none(data: bytes) -> None:
    shown = visible(data)

    assert all(f"\\x{byte:02x}" in shown for byte in data if byte < 0x20 and byte not in b"\t\n\r")
    assert len(shown) >= len(data.decode("utf-8", "ignore").replace("\r\n", "\n"))


def test_one_line_folds_white_space_and_cuts() -> None:
    assert one_line(" two\n  lines\x1b ") == r"two lines\x1b"
    assert one_line("x" * 1000, 10) == "x" * 9 + "…"


def test_clip_keeps_both_ends() -> None:
    assert clip("short\x00", 100) == r"short\x00"
    clipped = clip("a" * 500 + "b" * 500, 100)
    assert clipped == "a" * 50 + "\n[900 characters left out]\n" + "b" * 50


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a | b\nc", r"a \| b c"),
        ("<b> `a < b` <i>", "&lt;b> `a < b` &lt;i>"),
        ("`<b>", "`&lt;b>"),
    ],
)
def test_md_cell_escapes_html_outside_code_spans_only(text: str, cell: str) -> None:
    assert md_cell(text) == cell
