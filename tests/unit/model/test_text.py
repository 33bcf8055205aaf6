# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from harness.model.text import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("over é 漢 × –", "over é 漢 × –"),
        ("line\r\nline", "line\nline"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_visible_replaces_exactly_what_cannot_be_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_of_a_long_text_is_cut_and_says_so() -> None:
    assert one_line(" a\n b\tc ") == "a b c"
    assert one_line("x" * 20, limit=10) == "x" * 9 + "…"
