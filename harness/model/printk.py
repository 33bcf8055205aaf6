# SPDX-License-Identifier: GPL-2.0-only
"""Stamps: all that stands before a kernel message on a console, in dmesg and in saved logs.

printk puts a time before a message, with CONFIG_PRINTK_CALLER the task (T) or processor (C), and
in raw dmesg the priority. dmesg and journald write times in other forms, and what records a
console (syslog, a CI's log) adds one of its own before them.
"""

from __future__ import annotations

import re

_PRIORITY = r"<[0-9]{1,3}>"
_CALLER = r"[TC][0-9]{1,10}"
# Printed six wide, so that only a large number has no space before it: "[T1] x" is a message.
_PADDED = r"(?=\[ |\[[TC][0-9]{5})"
_BRACKETED = rf"\[ {{0,12}}(?P<caller>{_CALLER}) {{0,12}}\]"
_SECONDS = r"(?P<seconds>[0-9]{1,12})\.(?P<micros>[0-9]{6})"
_SINCE = r"(?: {0,2}< {0,12}[0-9]{1,12}\.[0-9]{6} ?>)?"  # dmesg --show-delta

STAMP = re.compile(
    rf"(?:{_PRIORITY})?\[ {{0,12}}{_SECONDS}{_SINCE} ?\]"
    rf"(?:(?: {_PADDED})?{_BRACKETED})? ?"
)
MAX_STAMPS = 6  # before one message
_WRAP_US = 2**64 // 1000  # a clock that is set back below zero shows that much: 64 bits of ns

_COARSE = r"\[ {1,12}[0-9]{1,12}\.[0-9]{1,9}\] ?"  # a time of another precision: if padded
# Where another message's stamp cuts a line.
CUT_IN = re.compile(
    r"(?<=[^\s\[<])(?<!<[0-9]>)(?<!<[0-9]{2}>)\s*"
    rf"(?=(?:{_PRIORITY})?(?:(?<!\(){_COARSE}|\[ {{0,12}}[0-9]{{1,12}}\.[0-9]{{6}} ?\]))"
)
# syslog and journald: "host kernel: ", or "host kern.warn kernel: "
_PROGRAM = r"(?:[\w.:-]{1,64} )?(?:[a-z0-9]{1,9}\.[a-z]{1,9} )?kernel(?:\[[\w-]{0,10}\])?: ?"
_TAG = rf"{_PROGRAM}(?:{_COARSE})?"
# Behind a time since boot only a host's name as most are: a message may begin "Kdump kernel: ".
_TAG_SINCE = r"(?:(?:[a-z0-9][\w.:-]{0,63} )?kernel: ?)?"
_TAG_RFC5424 = r"[\w.:-]{1,64} kernel (?:- ){3}"
_STAMPED = rf"(?=(?:{_PRIORITY})?\[ {{0,12}}[0-9]{{1,12}}\.[0-9]{{6}})"  # what follows is stamped
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NAME = r"[^\W\d_]{2,9}\.?"  # of a day or month, in any language
_DATE = rf"{_NAME} {{1,2}}[0-9]{{1,2}}"
_FACILITY = r"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])"
_LEVEL = r"(?:emerg|alert|crit|err|warn|notice|info|debug)"
# Stamps with a time, which may stand behind another one.
_TIMES = (
    rf"{STAMP.pattern}{_TAG_SINCE}",
    # dmesg --ctime, --reltime and --time-format delta
    rf"\[(?:{_NAME} )?{_DATE} (?:{_CLOCK}(?: [0-9]{{4}})?|[0-9]{{2}}:[0-9]{{2}}){_SINCE}\] ?",
    r"\[(?: {0,12}\+|< {0,12})[0-9]{1,12}\.[0-9]{6} ?>?\] ?",
    # dmesg --time-format iso, journald's short-iso, syslog
    rf"{_DAY}T[0-9:]{{8}},[0-9]{{6}}{_ZONE}(?: |$)",
    rf"{_DAY}[T ]{_CLOCK}{_ZONE} (?:{_TAG}|{_TAG_RFC5424})",
    # journald's short, short-full and short-unix, syslog; all with a tag
    rf"{_DATE} (?:[0-9]{{4}} )?{_CLOCK} (?:[0-9]{{4}} )?{_TAG}",
    rf"{_NAME} {_DAY} {_CLOCK} [\w+:-]{{1,6}} {_TAG}",
    rf"[0-9]{{1,12}}\.[0-9]{{6}} {_TAG}",
    rf"{_PROGRAM}(?:{_COARSE}|{_STAMPED})",
    # of tools that record a console
    rf"\[(?:{_DAY}[T ])?{_CLOCK}{_ZONE}\] ?",
    rf"(?:{_DATE} )?{_CLOCK} {_STAMPED}",
)
# What begins a line and nothing else.
_FIRST = (
    _COARSE,
    rf"{_PRIORITY}(?:1 (?={_DAY}T))?",
    rf"{_FACILITY} {{0,6}}:{_LEVEL} {{0,6}}: ?",
    rf"{_DAY}[T ]{_CLOCK}{_ZONE}(?: |$)",
)
_LATER_STAMP = re.compile(rf" ?(?:{'|'.join(_TIMES)})")
_FIRST_STAMP = re.compile(rf" {{0,80}}(?:{'|'.join(_TIMES)})|{'|'.join(_FIRST)}")
_ONLY_CALLER = re.compile(rf"{_PADDED}{_BRACKETED} ?")


def stamp_us(stamp: re.Match[str]) -> int:
    """Return the time of a match of :data:`STAMP`, in microseconds since boot.

    It is negative where the clock had wrapped.
    """
    us = int(stamp["seconds"]) * 1_000_000 + int(stamp["micros"])
    return us - _WRAP_US if us > _WRAP_US // 2 else us


def without_stamps(line: str) -> tuple[str, str]:
    """Return the message of *line*, and who printed it: "T57" or "C0", "" where it is not told.

    One space behind a stamp goes with it; the rest is the message's own indentation.
    """
    at, caller = 0, ""
    for number in range(MAX_STAMPS):
        found = (_LATER_STAMP if number else _FIRST_STAMP).match(line, at)
        if found:
            at, caller = found.end(), found["caller"] or caller
        if not caller and (alone := _ONLY_CALLER.match(line, at)):
            at, caller = alone.end(), alone["caller"]
        elif not found:
            break
    return line[at:], caller
