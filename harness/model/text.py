# SPDX-License-Identifier: GPL-2.0-only
"""Untrusted text made fit to show: no control characters, one line, bounded.

A guest may print escape codes that repaint a terminal, characters that XML forbids, or marks that
turn the reading direction round. Each is replaced by an escape; nothing is dropped.
"""

from __future__ import annotations

import re
import unicodedata

_ODD = re.compile(r"[^\n\t\x20-\x7e]")  # everything but plain ASCII is looked at one by one
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def visible(text: str | bytes) -> str:
    """Return *text* with invisible characters escaped: fit for terminals, XML, HTML once quoted.

    Line feeds and tabs stay; a carriage return before a line feed goes. Controls, direction marks,
    lone surrogates and unassigned characters become ``\\x1b``, ``\\u202e``, as in the kernel's own
    log; bytes that are not UTF-8 become ``\\xff``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return _ODD.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if unicodedata.category(char) not in _UNSEEN:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str, limit: int = 300) -> str:
    """Return *text* visible, on one line, cut to *limit* characters."""
    line = " ".join(visible(text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clip(text: str, limit: int) -> str:
    """Return *text* visible; of more than *limit* characters the first and the last half."""
    if len(text) <= limit:
        return visible(text)
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{visible(text[:half])}\n[{left_out} characters left out]\n{visible(text[-half:])}"


def md_cell(text: str, limit: int = 300) -> str:
    """Return *text* on one line, fit for a cell of a Markdown table; its code spans stay."""
    spans = one_line(text, limit).replace("|", "\\|").split("`")
    closed = len(spans) % 2 == 1  # else a backtick opens no span
    return "`".join(
        span if closed and number % 2 else span.replace("<", "&lt;")
        for number, span in enumerate(spans)
    )
