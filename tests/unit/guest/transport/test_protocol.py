# SPDX-License-Identifier: GPL-2.0-only
"""The agent protocol, and lines cut out of whatever a guest sends."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.guest.transport.console import newer_than
from harness.guest.transport.protocol import (
    LINE_LIMIT,
    MAX_NUMBER,
    Answer,
    Beat,
    End,
    Out,
    Ready,
    Record,
    lines_of,
    parse,
    ready_of,
    request,
)
from harness.guest.transport.reader import LineCutter


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b"ready proto=1 release=5.10.262 mem_total_kb=1 mem_free_kb=2 cpus=3 uptime_ms=4"
            b" spin_us=5",
            Ready("5.10.262", 1, 2, 3, 4, 5),
        ),
        (b"kmsg 6,12,345;ok 1 - a; b, c", Record(12, 345, "ok 1 - a; b, c")),
        (b"kmsg 4,0,0;", Record(0, 0, "")),
        (b"out 7 a%20b%25%e2%82%ac", Out(7, "a b%€")),
        (b"out 7 ", Out(7, "")),
        (b"end 3 exit:0 ms=12", End(3, "exit", 0)),
        (b"end 3 signal:9", End(3, "signal", 9)),
        (b"end 3 errno:17 ms=1", End(3, "errno", 17)),
        (b"ok 4", Answer(4, True, keys={})),
        (b"ok 4 hostkey=ssh-ed25519%20AAAA pid=1", Answer(
            4, True, keys={"hostkey": "ssh-ed25519 AAAA", "pid": "1"})),
        (b"err 4 no%20such%20file", Answer(4, False, "no such file")),
        (b"beat 9 uptime_ms=1000 mem_free_kb=55", Beat(9, 1000, 55)),
    ],
)  # fmt: skip
def test_parse_line_gives_message(line: bytes, message: object) -> None:
    assert parse(line) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"ready",
        b"ready release=5.10 spin_us=fast",
        b"ready proto=2 release=5.10",
        b"kmsg 6,12;text",
        b"kmsg x,1,2;text",
        b"end 3 exit",
        b"end 3 exit:x",
        b"end x exit:0",
        b"ok",
        b"ok one",
        b"hello 1",
        b"\xff\xfe kmsg",
        b"kmsg \xff,1,1;",
    ],
)
def test_parse_of_other_line_gives_none(line: bytes) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("digits", [17, 400, 5000])
def test_no_number_is_too_large_to_reckon_with(digits: int) -> None:
    nines = b"9" * digits
    beat = parse(b"beat 9 uptime_ms=%b mem_free_kb=-%b" % (nines, nines))
    names = ("mem_total_kb", "mem_free_kb", "cpus", "uptime_ms", "spin_us")
    ready = parse(b"ready release=x " + b" ".join(b"%b=%b" % (n.encode(), nines) for n in names))
    if digits > 4300:  # not even Python takes it for a number
        assert (beat, ready) == (None, None)
        return
    assert beat == Beat(9, MAX_NUMBER, 0)
    assert ready == Ready("x", *[MAX_NUMBER] * 5)


@given(st.binary(max_size=200))
def test_nothing_makes_parsing_fail(line: bytes) -> None:
    parse(line)
    for verb in (b"ready ", b"kmsg ", b"out ", b"end ", b"ok ", b"err ", b"beat "):
        parse(verb + line)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_arguments_survive_the_encoding(arguments: list[str]) -> None:
    line = request("exec", 12, *arguments)
    assert line.endswith(b"\n")
    verb, number, *words = line[:-1].split(b" ")
    assert (verb, number) == (b"exec", b"12")
    assert [unquote_to_bytes(word).decode() for word in words] == arguments
    assert all(0x21 <= byte < 0x7F for word in words for byte in word)


def test_request_beyond_line_limit_is_refused_on_host() -> None:
    request("write", 1, "x" * (LINE_LIMIT - len("write 1 ")))
    with pytest.raises(ValueError, match="8193 bytes"):
        request("write", 1, "x" * (LINE_LIMIT + 1 - len("write 1 ")))


def test_ready_needs_a_release() -> None:
    with pytest.raises(KeyError):
        ready_of({"spin_us": "1"})


@pytest.mark.parametrize(
    ("record", "lines"),
    [
        ("plain", ["plain"]),
        (r"# case: EXPECTATION FAILED\x0a    Expected 1", ["# case: EXPECTATION FAILED",
                                                          "    Expected 1"]),
        (r"a\x09b\x5cn", ["a\tb\\n"]),
        (r"\xe2\x82\xac", ["€"]),
        (r"\x1b[31mred", [r"\x1b[31mred"]),
        (r"\xff\x00", [r"\xff\x00"]),
        (r"\x5cx0a", [r"\x0a"]),
    ],
)  # fmt: skip
def test_kernel_escapes_are_undone_where_harmless(record: str, lines: list[str]) -> None:
    assert lines_of(record) == lines


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_line_cutter_gives_same_lines_for_any_chunks(size: int) -> None:
    stream = "eins\r\nzwei ä€𝄞\n\ndrei".encode()
    cutter = LineCutter(100)
    lines = [
        line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])
    ]
    assert lines == [b"eins", "zwei ä€𝄞".encode(), b""]
    assert cutter.flush() == [b"drei"]
    assert cutter.flush() == []
    assert cutter.cut == 0


@given(st.lists(st.binary(max_size=30)), st.integers(1, 20))
def test_line_cutter_keeps_lines_within_limit(chunks: list[bytes], limit: int) -> None:
    cutter = LineCutter(limit)
    lines = [line for chunk in chunks for line in cutter.feed(chunk)] + cutter.flush()
    whole = b"".join(chunks).split(b"\n")
    assert all(len(line) <= limit for line in lines)
    assert cutter.cut == sum(len(line) > limit for line in whole)


def test_line_cutter_cuts_overlong_line_and_keeps_next() -> None:
    cutter = LineCutter(4)
    assert cutter.feed(b"123456789\nab\n") == [b"1234", b"ab"]
    assert cutter.cut == 1


CONSOLE = [
    "[    1.000000] ok 1 - first",
    "[    1.500000] ok 2 - second",
    "[    1.500000] ok 3 - third",
    "[    2.000000][    T1] Kernel panic - not syncing: Fatal exception",
    "a line without a stamp",
    "[    2.000001] ---[ end Kernel panic",
]


def test_newer_than_gives_console_lines_after_cut_log() -> None:
    assert newer_than(CONSOLE, 1_500_000, ["ok 1 - first", "ok 2 - second"]) == [
        "ok 3 - third",
        "Kernel panic - not syncing: Fatal exception",
        "a line without a stamp",
        "---[ end Kernel panic",
    ]


def test_newer_than_complete_log_gives_nothing() -> None:
    assert newer_than(CONSOLE, 2_000_001, ["---[ end Kernel panic"]) == []
