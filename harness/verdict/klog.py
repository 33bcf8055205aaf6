# SPDX-License-Identifier: GPL-2.0-only
"""Kernel log text, made plain for the parsers that read it.

The same message arrives in several forms: as the text of a /dev/kmsg record (unprintable
bytes written as ``\\xNN``, several lines in one record), as such a record with its number
prefix, or as a console line with a time stamp, a carriage return, colour codes, and perhaps
the end of another message's line in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.model.printk import CUT_IN, without_stamps

# Far above what the kernel prints: a printk record holds at most 1 KiB. What is longer is noise.
MAX_LINE = 4096
MAX_RECORD = 16 * MAX_LINE
_BEFORE = "\r\n\0\ufeff"  # a console that was just opened, a file of another system
_ESCAPE = re.compile(r"\\x([0-7][0-9a-f])")
# Colours and their like, titles of a window, and choices of a character set.
_COLOUR = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-B]|[=>78cDEHM])"
)
# What netconsole sends may have the kernel's release in front.
_NUMBERS = re.compile(r"(?:\d[^\s,;]{0,64},)?\d{1,5},\d{1,20},\d{1,20}(?:,[^;]{0,80})?;")
_CALLER = re.compile(r",caller=([TC]\d{1,10})[,;]")


@dataclass(frozen=True)
class LogLine:
    """One line of text, without prefix and trailing space."""

    record: int  # 1-based place of the record it came from
    text: str  # at most MAX_LINE characters
    quoted: bool  # a further line of a record that began with "#": a test's own words
    caller: str = ""  # the task ("T57") or processor ("C0") that printed it, where the log tells


def log_lines(records: Iterable[str]) -> Iterator[LogLine]:
    """Yield the lines of *records* (console lines or kmsg records), prefixes taken off.

    Indentation is kept. A line that another message's time stamp cuts is split there. Every
    record yields at least one line, which may be empty.
    """
    for number, record in enumerate(records, start=1):
        text, caller = _plain(record)
        first, *more = text.split("\n")
        diagnostic = first.lstrip().startswith("#")
        start, *cut_in = [first] if diagnostic else CUT_IN.sub("\n", first).split("\n")
        yield LogLine(number, start[:MAX_LINE].rstrip(), False, caller)
        for piece in cut_in:
            text, caller = without_stamps(piece)
            yield LogLine(number, text[:MAX_LINE].rstrip(), False, caller)
        for text in more:
            if text.strip():
                yield LogLine(number, text[:MAX_LINE].rstrip(), diagnostic, caller)


def _plain(record: str) -> tuple[str, str]:
    """Return the text of *record* without prefixes, and its caller."""
    text = _uncoloured(record[:MAX_RECORD].lstrip(_BEFORE).strip("\r\n"))
    numbers = _NUMBERS.match(text)
    if numbers:
        text = text[numbers.end() :]
    if "\\x" in text:
        text = _uncoloured(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    text, caller = without_stamps(text.replace("\r", ""))
    named = _CALLER.search(numbers[0]) if numbers else None
    return text, named[1] if named else caller


def _uncoloured(text: str) -> str:
    return _COLOUR.sub("", text) if "\x1b" in text else text
