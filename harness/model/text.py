# SPDX-License-Identifier: GPL-2.0-only
"""Foreign text made fit to show: no control characters, one line."""

from __future__ import annotations

import re
import unicodedata

_ODD = re.compile(r"[^\n\t\x20-\x7e]")  # everything but plain ASCII is looked at one by one
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """Return *text* with every character that cannot be seen replaced by one that can.

    Line feeds and tabs stay, a carriage return before a line feed goes. Others that cannot be
    seen (controls, direction marks, lone surrogates, unassigned) become ``\\x1b``, ``\\u202e``,
    as the kernel's own log writes them: Unicode has pictures for some, but few fonts do. The
    result is fit for HTML (once escaped), XML and terminals.
    """
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
