# SPDX-License-Identifier: GPL-2.0-only
"""Stamps of kernel messages, in all forms that consoles, dmesg and saved logs have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.printk import CUT_IN, MAX_STAMPS, STAMP, stamp_us, without_stamps

# A stamp, and the caller that it names.
STAMPS = {
    "": "",
    "[   12.345678] ": "",
    "[18446744073.709551] ": "",
    "   [   12.345678] ": "",
    "[   12.345678][   T57] ": "T57",
    "[   12.345678][    C0] ": "C0",
    "[   12.345678][T4194304] ": "T4194304",
    "[   12.345678 ][    T0 ] ": "T0",
    "[   12.345678] [     T0] ": "T0",
    "<4>": "",
    "<12>": "",
    "<4>[   12.345678] ": "",
    "<4>[   12.345678][   T57] ": "T57",
    "<4>[    T1] ": "T1",
    "[  T123] ": "T123",
    "[  C0] ": "C0",
    "[T12345] ": "T12345",
    "[Mon Nov  1 12:00:00 2021] ": "",
    "[Mon Nov  1 12:00:00 2021] [   T57] ": "T57",
    "[Mo Nov  1 12:00:00 2021] ": "",
    "[Mon Nov  1 12:00:00 2021 <    0.000003>] ": "",
    "[   12.345678 <    0.000003>] ": "",
    "[<    0.000003>] ": "",
    "[  +0.000003] ": "",
    "[Nov 1 12:00] ": "",
    "2021-11-01T12:00:00,123456+00:00 ": "",
    "2021-11-01T12:00:00,123456+00:00 [   T57] ": "T57",
    "kern  :warn  : ": "",
    "kern  :warn  : [   12.345678] ": "",
    "daemon:notice: 2021-11-01T12:00:00,123456+00:00 ": "",
    "kernel: [ 12.3] ": "",
    "kernel: [   12.345678] ": "",
    "Nov 01 12:00:00 host kernel: ": "",
    "Nov  1 12:00:00 my-host.example.org kernel: [   12.345678][   T57] ": "T57",
    "Nov  1 12:00:00 host kernel:[   12.345678] ": "",
    "Nov 01 12:00:00.123456 host kernel: ": "",
    "Nov 01 12:00:00 kernel: ": "",
    "Jan  1 00:00:01 host kern.warn kernel: [   12.345678] ": "",
    "[   12.345678] host kernel: ": "",
    "[   12.345678 <    0.000012 >] host kernel: ": "",
    "2021-11-01T12:00:00+0000 host kernel: ": "",
    "2021-11-01T12:00:00.123456+00:00 host kernel: [   12.345678] ": "",
    "2021-11-01 12:00:00 host kernel: ": "",
    "Mon 2021-11-01 12:00:00 UTC host kernel: ": "",
    "1635768000.123456 host kernel: ": "",
    "<4>Nov  1 12:00:00 host kernel: ": "",
    "<4>1 2021-11-01T12:00:00Z host kernel - - - ": "",
    "2021-11-01T12:00:00 [   12.345678] ": "",
    "[2021-11-01 12:00:00.123] [   12.345678] ": "",
    "[12:00:00] ": "",
    "12:00:00.123 [   12.345678][   T57] ": "T57",
    "Nov 01 12:00:00 [   12.345678] ": "",
    "Nov 01 12:00:00 <4>[   12.345678] ": "",
    "[   13.000000] [   12.345678] ": "",
    "[   13.000000] <4>[   12.345678][   T57] ": "T57",
    "[12:00:00] Nov  1 12:00:00 host kernel: [   12.345678] ": "",
}
# Messages that begin like a stamp.
MESSAGES = (
    "kernel BUG at mm/foo.c:12!",
    "    ok 1 - case",
    " <IRQ>",
    "<TASK>",
    "[drm] driver",
    "[T] x",
    "[T1] x",
    "[C0] x",
    "[   1] x",
    "[   61]     0    61     1000       12",
    "[<0>] schedule+0x10/0x20",
    "[mem 0x0000000000000000-0x000000000009fbff] usable",
    "[Firmware Bug]: text",
    "[1.5] is a number",
    "[ 1.2.3 ] x",
    "1.5: text",
    "Mon 3 of 4",
    "user: text",
    "Kdump kernel: text",
    "",
)


@pytest.mark.parametrize("stamp", STAMPS)
def test_without_stamps_leaves_the_message_whole(stamp: str) -> None:
    for message in MESSAGES:
        assert without_stamps(stamp + message) == (message, STAMPS[stamp]), message


def test_without_stamps_takes_so_many_and_no_more() -> None:
    stamp = "[   12.345678] "
    assert without_stamps(stamp * (MAX_STAMPS + 2) + "x")[0] == stamp * 2 + "x"


def test_stamp_us_of_a_clock_that_wrapped_is_negative() -> None:
    def us(line: str) -> int:
        found = STAMP.match(line)
        assert found
        return stamp_us(found)

    assert us("[   12.345678] x") == us("[   12.345678 ][    T0 ] x") == 12_345_678
    assert us("[18446744073.709551] x") == 0
    assert us("[18446744073.700000] x") == -9551


def test_cut_in_is_where_a_stamp_stands_in_a_line() -> None:
    for stamp in ("[   12.345678] ", "<6>[   12.345678] ", "[   12.345678 ][    T0 ] ", "[ 12.3] "):
        assert CUT_IN.split(f"ok 1 ca{stamp}foo") == ["ok 1 ca", f"{stamp}foo"]
    for text in ("a[1.5] b", "a [   1] b", "a [12] b", "at [<0>] foo", "[   12.345678] a"):
        assert CUT_IN.split(text) == [text]


@settings(deadline=None)
@given(st.text(), st.sampled_from(sorted(STAMPS)), st.sampled_from(sorted(STAMPS)))
def test_without_stamps_of_any_text_is_its_end(text: str, outer: str, inner: str) -> None:
    line = outer + inner + text
    message, caller = without_stamps(line)
    assert line.endswith(message)
    assert not caller or caller in line


@pytest.mark.parametrize(
    "piece", ["[", " ", "<4>", "[ ", "[ 1", "Nov 01 ", "[T1", "a kernel: ", "9"]
)
def test_without_stamps_of_endless_lines_is_cheap(piece: str) -> None:
    """Were any pattern to go back and forth over one, this would not end in a day."""
    line = piece * 1_000_000
    assert line.endswith(without_stamps(line)[0])
    assert "".join(CUT_IN.split(line)).replace(" ", "") == line.replace(" ", "")
