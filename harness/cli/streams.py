# SPDX-License-Identifier: GPL-2.0-only
"""Standard output and error, whatever encoding they have and whoever reads them.

A character that the encoding lacks is replaced. What cannot be written at all is an error of its
own, so that nobody takes it for one of a guest's socket or of a file.
"""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import sys
from typing import TextIO

from harness.model.errors import InfraError

_KEPT = "harness_output"  # option -X of ours: the encoding of a process that was begun anew
_NAMES = {1: "standard output", 2: "standard error"}


class OutputLost(InfraError):
    """Standard output or error takes nothing, as on a full disk."""


class ReaderGone(Exception):
    """Nobody reads standard output or error any more, as in ``harness list | head -1``."""


class _Output(io.TextIOWrapper):
    """A text stream on one of the standard descriptors."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise self._lost(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: OSError) -> OutputLost | ReaderGone:
        """Return what *error* means here; what is still to be written goes nowhere from now on."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if error.errno == errno.EPIPE:
            return ReaderGone()
        return OutputLost(
            f"cannot write to {_NAMES[self.fileno()]}: {error.strerror}",
            hint="let it go to a terminal, a file with room, or a program that reads it",
        )


def in_utf8() -> None:
    """Begin this process anew in Python's UTF-8 mode if its locale has another encoding.

    Names of files, arguments and the texts of all files are UTF-8 then, ours and those of the
    libraries, and standard output and error stay as they were.
    """
    encoding = codecs.lookup(locale.getencoding()).name
    if encoding != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        kept = getattr(sys.stdout or sys.stderr, "encoding", encoding)
        options = ("-X", "utf8", "-X", f"{_KEPT}={kept}")
        os.execv(sys.executable, (sys.executable, *options, *sys.orig_argv[1:]))


def set_up() -> None:
    """Make standard output and error of this process fit for any text, even where they are closed.

    A descriptor that is closed would be given to the next file that is opened.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error("harness", _replaced)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = _output(1, sys.stdout)
    sys.stderr = _output(2, sys.stderr)


def _output(number: int, before: TextIO | None) -> _Output:
    return _Output(
        io.BufferedWriter(io.FileIO(number, "wb", closefd=False)),
        encoding=sys._xoptions.get(_KEPT) or (before.encoding if before is not None else "utf-8"),
        errors="harness",
        line_buffering=number == 2 or os.isatty(number),
    )


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what an encoding lacks; a byte of a file's name that is no character stays one."""
    assert isinstance(error, UnicodeEncodeError)
    odd = error.object[error.start : error.end]
    if all("\udc80" <= char <= "\udcff" for char in odd):
        return bytes(ord(char) - 0xDC00 for char in odd), error.end
    return "?" * len(odd), error.end
