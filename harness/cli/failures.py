# SPDX-License-Identifier: GPL-2.0-only
"""From whatever ended a command to one clear line and an exit code: never 1, a kernel's verdict."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from harness.cli.streams import ReaderGone
from harness.model.errors import HarnessError, InfraError, Interrupted
from harness.model.text import one_line

PACKAGE = Path(__file__).resolve().parents[1]
TRACEBACK = "HARNESS_TRACEBACK"
_WHERE = f"set {TRACEBACK}=1 to see where it came from"
_HINTS = {
    errno.ENOSPC: "free some space, or move the cache with --cache FOLDER",
    errno.EACCES: "check who owns it, or choose another place with --cache or --out",
    errno.EROFS: "choose another place with --cache or --out",
}
_ended_threads: list[BaseException] = []


def watch_threads() -> None:
    """Let an exception that ends a thread end the command, as one of the main thread does."""
    threading.excepthook = _end_command


def unwatch_threads() -> None:
    """Let threads end as they like: the command has ended, and its exit code is known."""
    threading.excepthook = lambda _: None


def raise_of_threads() -> None:
    """Raise what ended a thread: some commands take the interrupt that it brings for their end."""
    if _ended_threads:
        raise _ended_threads[0]


def _end_command(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        _ended_threads.append(ended.exc_value)
        # Whatever the main thread waits for may never come now.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def report(error: BaseException) -> int:
    """Print what *error* means on stderr, and return the exit code.

    Raises:
        ReaderGone: that is what it means, and there is nobody to print for.
    """
    if _ended_threads and isinstance(error, KeyboardInterrupt | Interrupted):
        error = _ended_threads[0]
    if isinstance(error, ReaderGone):
        raise error
    failure = _in_our_words(error)
    # Where stderr takes nothing, the exit code has to do.
    with contextlib.suppress(Exception):
        if os.environ.get(TRACEBACK):
            traceback.print_exception(error)
        print(*failure.lines, sep="\n", file=sys.stderr)
    return failure.exit_code


def _in_our_words(error: BaseException) -> HarnessError:
    if isinstance(error, HarnessError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, MemoryError):
        return InfraError("this host has no memory left", hint="run fewer guests at a time: --jobs")
    if isinstance(error, ImportError) and not (error.name or "").startswith("harness"):
        return InfraError(
            f"a Python package is missing or broken: {one_line(str(error))}",
            hint="install them all: make .venv/ready, or pip install -e . in the checkout",
        )
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        hint = _HINTS.get(error.errno or 0, _WHERE)
        return InfraError(f"{error.strerror or one_line(str(error))}{where}", hint=hint)
    said = one_line(str(error))
    return InfraError(
        f"unexpected {type(error).__name__}{_place(error)}{': ' if said else ''}{said}",
        hint=f"this is a fault of the harness: {_WHERE}",
    )


def _place(error: BaseException) -> str:
    """Return the last line of ours that *error* went through."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(PACKAGE)
    ]
    if not ours:
        return ""
    return f" in {Path(ours[-1].filename).relative_to(PACKAGE.parent)}:{ours[-1].lineno}"
