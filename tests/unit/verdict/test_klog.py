# SPDX-License-Identifier: GPL-2.0-only
"""Kernel log text in all its dresses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verdict.klog import MAX_LINE, log_lines


def texts(*records: str) -> list[str]:
    return [line.text for line in log_lines(records)]


@pytest.mark.parametrize(
    "dress",
    [
        "    ok 1 - x",
        "[    1.234567]     ok 1 - x",
        "[12345.234567]     ok 1 - x\r\r\n",
        "<6>[    1.234567]     ok 1 - x",
        "[    1.234567][   T57]     ok 1 - x",
        "[    1.234567][    C0]     ok 1 - x",
        "6,803,2130411,-;    ok 1 - x",
        "6.4.0,6,803,2130411,-,ncfrag=0/33;    ok 1 - x",
        "\0\0[    1.234567]     ok 1 - x",
        "\ufeff[    1.234567]     ok 1 - x",
        "\x1b]0;title\x07\x1b[1;33m[    1.234567]\x1b[0m     ok 1 - x",
        "[18446744073.709551]     ok 1 - x\r",
        "[Mon Nov  1 12:00:00 2021]     ok 1 - x",
        "Nov 01 12:00:00 host kernel:     ok 1 - x",
        "6,803,2130411;    ok 1 - x",
        "\x1b[32m[    1.234567] \x1b[0m    ok 1 - x\x1b[m",
    ],
)
def test_log_lines_prefixes_go_and_indentation_stays(dress: str) -> None:
    assert texts(dress) == ["    ok 1 - x"]


@pytest.mark.parametrize(
    "text", ["[1.5] is a number", "[   61]     0    61", "1,2 and 3; four", "[ 1.2.3 ] x", "[T1] x"]
)
def test_log_lines_text_that_resembles_a_prefix_stays(text: str) -> None:
    assert [t.replace("[1.5] ", "") for t in texts(text)] == [text.replace("[1.5] ", "")]


def test_log_lines_escapes_of_kmsg_are_undone() -> None:
    assert texts(r"\x09tab\x0aline two\x0a", r"a\x5cx0ab") == ["\ttab", "line two", r"a\x0ab"]


def test_log_lines_further_lines_of_a_diagnostic_are_quoted() -> None:
    lines = list(log_lines(["  # case: says\nWARNING: CPU:", "other\nWARNING: CPU:"]))
    assert [(line.record, line.quoted) for line in lines] == [
        (1, False), (1, True), (2, False), (2, False),
    ]  # fmt: skip


def test_log_lines_stamp_in_the_middle_cuts_a_line() -> None:
    cut = "    ok 1 - a[    1.234567] random: crng init done"
    assert texts(cut) == ["    ok 1 - a", "random: crng init done"]
    assert texts("# case: [    1.234567] quoted") == ["# case: [    1.234567] quoted"]


@pytest.mark.parametrize(
    ("record", "callers"),
    [
        ("[    1.234567][   T57] a", ["T57"]),
        ("<4>[    1.234567][    C0] a\nb", ["C0", "C0"]),
        ("6,803,2130411,-,caller=T57;a", ["T57"]),
        ("6,803,2130411,c,caller=C1,more=x;a", ["C1"]),
        ("[    1.234567][    C0] a[    1.234568][    T2] b", ["C0", "T2"]),
        ("[    1.234567][    C0] a[    1.234568] b", ["C0", ""]),
        ("[    1.234567] a", [""]),
        ("a [T57] b", [""]),
    ],
)
def test_log_lines_know_who_printed_them(record: str, callers: list[str]) -> None:
    assert [line.caller for line in log_lines([record])] == callers


def test_log_lines_each_record_has_a_line_with_its_number() -> None:
    assert [line.record for line in log_lines(["a", "", "b\n\nc"])] == [1, 2, 3, 3]


@settings(deadline=None)
@given(st.lists(st.text(), max_size=20))
def test_log_lines_of_any_text_are_bounded(records: list[str]) -> None:
    lines = list(log_lines(records))
    assert {line.record for line in lines} == set(range(1, len(records) + 1))
    assert all(len(line.text) <= MAX_LINE and "\n" not in line.text for line in lines)
