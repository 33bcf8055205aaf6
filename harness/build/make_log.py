# SPDX-License-Identifier: GPL-2.0-only
"""Output of kbuild: objects done, warnings by object, the compiler's first error.

Pure: lines in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_OBJECT = re.compile(r"^  [A-Z][A-Z0-9_-]*(?: \[[A-Z]\])?\s+(?P<object>\S.*)$")
_WARNING = re.compile(r"\bwarning: |^WARNING: ")
_ERROR = re.compile(
    r"(?:^|\s)(?:fatal )?error: |undefined reference to|multiple definition of|^ERROR: |"
    r"cannot find -l|^Error: |: Error: "
)
_ABOVE = re.compile(r"^In file included from |^\s+from |: In function |: At top level")
_GAVE_UP = re.compile(r"^(?:make(?:\[\d+\])?|\S+:\d+): \*\*\* ")
# The linker's two lines: the object and function, then what it lacks, at an offset that may vary.
_IN_FUNCTION = re.compile(r"([^\s:]+\.o: in function .*):$")
_LINKED = re.compile(r"[^\s:]+:(?:\d+:)? ?\(\S+\+0x[0-9a-f]+\): (undefined reference to .*)")
_MAX_LINES = 16
_PLACE = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+)(?::\d+)?(?=[:,\s])")
# A program that somebody ended, or that had no memory, says nothing of the source it was reading.
_HOST = re.compile(
    r"(?:fatal error|internal compiler error): (?:Killed|Segmentation fault|Terminated|Bus error)"
    r"|\*\*\* .*(?:Error 1(?:3[0-9]|4[0-3])|Killed|Terminated|Segmentation fault|Bus error)"
    r"|[Cc]annot allocate memory|Out of memory allocating|virtual memory exhausted"
    r"|fork: retry|Resource temporarily unavailable|Input/output error|Read-only file system"
    r"|Too many open files|Stale file handle|ccache: error:"
)


class MakeLog:
    """Follows a make that runs, line by line."""

    def __init__(self, *roots: str) -> None:
        """Paths below *roots* (folders, as the compiler prints them) are shown without them."""
        self.lines: list[str] = []
        self.done = 0  # objects so far
        self.current = ""  # the last one
        self.warnings: dict[str, list[str]] = {}  # of every object that was made
        self._roots = tuple(f"{root.rstrip('/')}/" for root in roots)

    def line(self, text: str) -> bool:
        """Take the next line; True if another object is done."""
        for root in self._roots:
            text = text.replace(root, "")
        self.lines.append(text)
        if match := _OBJECT.match(text):
            self.done += 1
            self.current = match["object"]
            self.warnings.setdefault(self.current, [])
            return True
        if _WARNING.search(text):
            found = self.warnings.setdefault(self.current, [])
            if text.strip() not in found:
                found.append(text.strip())
        return False

    def feed(self, text: str) -> None:
        """Take the next line."""
        self.line(text)

    def error(self) -> tuple[str, str]:
        """Return the first error as one line, and with the lines around it that explain it."""
        return first_error(self.lines)


def merge_warnings(
    before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return the warnings of all objects, where *now* made some of them again."""
    merged = {**before, **now}
    return {name: list(lines) for name, lines in sorted(merged.items()) if lines}


def all_warnings(by_object: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return each warning once: a header's is printed for every object that includes it."""
    return tuple(dict.fromkeys(line for lines in by_object.values() for line in lines))


def first_error(lines: Sequence[str]) -> tuple[str, str]:
    """Return the compiler's first error of a failed make: its line, and its block of lines.

    Where no compiler spoke, the lines before make gave up; ("", "") where that is not seen either.
    """
    for number, line in enumerate(lines):
        if _ERROR.search(line):
            linked = _LINKED.match(line)
            where = _IN_FUNCTION.search(lines[number - 1]) if linked and number else None
            said = f"{where[1]}: {linked[1]}" if linked and where else line.strip()
            return said, "\n".join(_block(lines, number))
    for number, line in enumerate(lines):
        if _GAVE_UP.match(line):
            before = [text for text in lines[max(0, number - _MAX_LINES) : number + 1] if text]
            spoken = [t for t in before[:-1] if not _OBJECT.match(t) and not t.startswith("$ ")]
            own_words = not spoken or not line.startswith("make")
            # Kconfig goes on after an error, and complains of what it does not understand then.
            placed = (t for t in spoken if _PLACE.match(t) and ":warning:" not in t)
            told = line if own_words else next(placed, spoken[-1])
            return told.strip(), "\n".join(before)
    return "", ""


def error_place(error: str) -> tuple[str, str]:
    """Return the "file:line" that *error*, a line of a compiler, names, and it without the column.

    ("", *error*) where it names none.
    """
    match = _PLACE.match(error)
    if match is None:
        return "", error
    place = f"{match['file']}:{match['line']}"
    return place, place + error[match.end() :]


def host_failure(lines: Sequence[str]) -> str:
    """Return the line that says that the host failed make, and not the source; "" for none."""
    return next((line.strip() for line in lines if _HOST.search(line)), "")


def _block(lines: Sequence[str], number: int) -> list[str]:
    start = number
    while start and _ABOVE.search(lines[start - 1]):
        start -= 1
    end = number + 1
    while end < len(lines) and end - start < _MAX_LINES and not _foreign(lines[end]):
        end += 1
    return [line for line in lines[start:end] if line.strip()]


def _foreign(line: str) -> bool:
    """Say whether *line* begins another message."""
    begins = _OBJECT.match(line) or _GAVE_UP.match(line) or _ERROR.search(line)
    return bool(begins or _WARNING.search(line) or _ABOVE.search(line))
