# SPDX-License-Identifier: GPL-2.0-only
"""Lines out of whatever bytes a guest sends, in bounded memory; and a form of them that is safe."""

from __future__ import annotations

import codecs
import re

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class LineCutter:
    """Cuts a stream of bytes into lines; what exceeds *limit* bytes of a line is dropped.

    ``cut`` counts the lines that lost something. A line ends at LF; a CR before it goes too.
    """

    def __init__(self, limit: int) -> None:
        self.cut = 0
        self._limit = limit
        self._partial = bytearray()
        self._overlong = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take *chunk* and return the lines that it completes, without their ends."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            self._append(piece)
            lines.append(self._take())
        self._append(rest)
        return lines

    def flush(self) -> list[bytes]:
        """Return the unfinished line at the end of the stream, if there is one."""
        return [self._take()] if self._partial else []

    def _append(self, piece: bytes) -> None:
        room = self._limit - len(self._partial)
        self._partial += piece[:room]
        self._overlong = self._overlong or len(piece) > room

    def _take(self) -> bytes:
        line = bytes(self._partial).removesuffix(b"\r")
        self._partial.clear()
        self.cut += self._overlong
        self._overlong = False
        return line


def visible(line: bytes) -> str:
    """Return *line* as text in which nothing can act on a terminal or break a report.

    Bytes that are not UTF-8 and control characters (escape sequences with them) appear as
    ``\\xNN``; tabs stay.
    """
    text = codecs.decode(line, "utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
