# SPDX-License-Identifier: GPL-2.0-only
"""The reading side of a guest's channels: waits, the reading thread, logs and lines.

The guest's end is announced after the last byte it sent was read, so whoever finds it gone has
all the evidence.
"""

from __future__ import annotations

import enum
import os
import selectors
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from harness.host.deadline import Deadline

CHUNK = 64 * 1024
# Seconds without a read after a small chunk: a serial console comes byte by byte, and a read of
# one byte costs as much as one of a hundred. Not more: the socket has room for a few hundred bytes
# that were sent one by one, and the guest waits when it is full.
REST_S = 0.001
SMALL = 4096
# From the line that announces a panic to QEMU's exit; only a kernel that hangs inside its own
# panic takes longer.
PANIC_GRACE_S = 5.0
# From the end of one channel to the emulator's exit, where it is the exit that ended the channel.
CUT_GRACE_S = 1.0


# ---------------------------------------------------------------- waits


class Wait(enum.Enum):
    """The end of a wait."""

    MET = "met"  # what was waited for is there
    GONE = "gone"  # the guest is gone, or as good as gone after a panic
    CUT = "cut"  # the guest lives, and the channel it would have answered on is closed
    LATE = "late"  # the deadline passed


class Vitals:
    """Whether a guest lives, with the condition that is notified when anything comes from it.

    Everything that the reading thread changes is changed with ``changed`` held.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.exit_code: int | None = None
        self.panic = ""  # the kernel's last words, once it has said them
        self._grace = Deadline.never()

    @property
    def gone(self) -> bool:
        """Whether nothing more can come from the guest."""
        return self.exit_code is not None or self._grace.passed

    def panicked(self, words: str) -> None:
        """Note a panic: from now on the guest has only moments to live."""
        with self.changed:
            if not self.panic:
                self.panic = words
                self._grace = Deadline(PANIC_GRACE_S)
            self.changed.notify_all()

    def ended(self, code: int) -> None:
        """Note that the emulator is gone."""
        with self.changed:
            self.exit_code = code
            self.changed.notify_all()

    def wait(
        self,
        met: Callable[[], bool],
        deadline: Deadline,
        cut: Callable[[], bool] = lambda: False,
    ) -> Wait:
        """Wait until *met* is true (looked at whenever something changed), *cut* is, the guest
        is gone, or *deadline* passes.
        """
        cut_grace: Deadline | None = None
        with self.changed:
            while True:
                if met():
                    return Wait.MET
                if self.gone:
                    return Wait.GONE
                if cut_grace is None and cut():
                    cut_grace = Deadline(CUT_GRACE_S)
                if cut_grace is not None and cut_grace.passed:
                    return Wait.CUT
                if deadline.passed:
                    return Wait.LATE
                ends = (deadline, self._grace, cut_grace or deadline)
                seconds = min(end.remaining() for end in ends)
                self.changed.wait(None if seconds == float("inf") else seconds)


# ---------------------------------------------------------------- channels


class Sink(Protocol):
    """Takes what came from one channel; both methods run in the reading thread."""

    def feed(self, chunk: bytes) -> None: ...

    def close(self) -> None: ...


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Reader:
    """The reading thread of one guest: every channel to its sink until all are at their end."""

    def __init__(
        self,
        sources: dict[HasFileno, Sink],
        finished: Callable[[], None],
        paced: HasFileno | None = None,
    ) -> None:
        """Prepare to read each source into its sink, then to call *finished*.

        All of it happens in a thread of its own once :meth:`start` is called. *paced* is the
        source whose bytes may wait for a few milliseconds.
        """
        self._sources = sources
        self._finished = finished
        self._paced = paced.fileno() if paced else -1
        self._thread = threading.Thread(target=self._run, name="guest-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait until every channel was read to its end; the emulator must be gone or going."""
        self._thread.join()

    def _run(self) -> None:
        resting: tuple[Sink, Deadline] | None = None  # the paced source's, and until when
        with selectors.DefaultSelector() as selector:
            for source, sink in self._sources.items():
                selector.register(source.fileno(), selectors.EVENT_READ, sink)
            while selector.get_map() or resting:
                if resting and resting[1].passed:
                    selector.register(self._paced, selectors.EVENT_READ, resting[0])
                    resting = None
                for key, _ in selector.select(resting[1].remaining() if resting else None):
                    chunk = _read(key.fd)
                    if chunk:
                        key.data.feed(chunk)
                        if key.fd == self._paced and len(chunk) < SMALL:
                            selector.unregister(key.fd)
                            resting = (key.data, Deadline(REST_S))
                    elif chunk is not None:
                        selector.unregister(key.fd)
                        key.data.close()
        self._finished()


def _read(fd: int) -> bytes | None:
    """Return what *fd* has, b"" at its end, None where it has nothing after all."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError:  # reset by peer: QEMU died with our bytes unread
        return b""


class CappedLog:
    """A log file that stops growing at *limit* bytes, and says so in its last line.

    A full disk stops it too: the guest must be drained whatever happens here. ``failure`` tells.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.failure = ""
        self._left = limit
        self._file: IO[bytes] | None = path.open("wb", buffering=0)

    def write(self, chunk: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(chunk[: self._left])
            if len(chunk) > self._left:
                self._file.write(b"\n[harness: more came, and is not kept]\n")
        except OSError as error:
            self.failure = error.strerror or str(error)
            self.close()
            return
        self._left -= len(chunk)
        if self._left < 0:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


# ---------------------------------------------------------------- lines


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
