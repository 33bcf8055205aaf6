# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: always drained, kept raw, watched for a panic, and open to pexpect."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.guest.transport.lost_records import Gap, filled, stamped
from harness.guest.transport.protocol import Record, lines_of
from harness.guest.transport.reader import CappedLog, LineCutter, Vitals, Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.printk import STAMP, stamp_us
from harness.model.text import visible

if TYPE_CHECKING:
    from harness.guest.transport.console_expect import ConsoleSpawn

LOG_LIMIT = 16 * 2**20  # bytes of console.log
LINE_LIMIT = 4096  # bytes of a line that are looked at
TAIL_LINES = 4000  # the newest lines, kept in memory
FROM_CONSOLE = "[harness: the guest sent no more of its log; what follows is from the console]"
UNREAD_LIMIT = 2**20  # bytes kept for somebody who may want to `expect` them
# Nothing but the kernel starts a line, or the text after its time stamp, like this.
_PANIC = re.compile(rb"(?:^|\] ?)Kernel panic - not syncing: ?(.*)")


class Console:
    """One guest's console; a :class:`harness.guest.transport.reader.Sink`."""

    def __init__(self, channel: socket.socket, log: Path, vitals: Vitals) -> None:
        self.closed = False
        self.last_byte_at = time.monotonic()
        self.received = 0  # bytes
        self._vitals = vitals
        self._channel = channel
        self._path = log
        self._log = CappedLog(log, LOG_LIMIT)
        self._cutter = LineCutter(LINE_LIMIT)
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._unread: deque[bytes] = deque()
        self._unread_size = 0
        self._spawn: ConsoleSpawn | None = None

    # ------------------------------------------------------------ the reading thread's side

    def feed(self, chunk: bytes) -> None:
        self._log.write(chunk)
        with self._vitals.changed:
            self.received += len(chunk)
            self.last_byte_at = time.monotonic()
            self._look_at(self._cutter.feed(chunk))
            self._unread.append(chunk)
            self._unread_size += len(chunk)
            while self._unread_size > UNREAD_LIMIT and len(self._unread) > 1:
                self._unread_size -= len(self._unread.popleft())
            self._vitals.changed.notify_all()

    def close(self) -> None:
        self._log.close()
        with self._vitals.changed:
            self._look_at(self._cutter.flush())
            self.closed = True
            self._vitals.changed.notify_all()

    def _look_at(self, lines: list[bytes]) -> None:
        for line in lines:
            self._tail.append(visible(line))
            found = _PANIC.search(line)
            if found:
                self._vitals.panicked(visible(found[1]))

    # ------------------------------------------------------------ everybody else's side

    @property
    def lines(self) -> tuple[str, ...]:
        """The newest whole lines, safe to show: at most 4000 of at most 4096 bytes each."""
        with self._vitals.changed:
            return tuple(self._tail)

    def records(self, until_us: int, deadline: Deadline) -> Iterator[tuple[int, str]]:
        """Return the kernel's messages in all of console.log: microseconds since boot, and text.

        Waits no longer than *deadline* for those of *until_us* to come in.
        """
        self._vitals.wait(lambda: self._reached(until_us), deadline, lambda: self.closed)
        cutter = LineCutter(LINE_LIMIT)
        lines = cutter.feed(self._path.read_bytes()) + cutter.flush()
        return stamped(map(visible, lines))

    def fill(
        self, log: Sequence[str], gaps: Sequence[Gap], deadline: Deadline
    ) -> tuple[tuple[str, ...], int]:
        """Return *log* with what this console has of its *gaps*, and how many records that are."""
        if not gaps:
            return tuple(log), 0
        end = max(gap.before_us for gap in gaps)
        return filled(log, gaps, self.records(end, deadline))

    def _reached(self, usec: int) -> bool:
        """Does the newest of the kernel's lines come from *usec* or later?"""
        newest = itertools.islice(reversed(self._tail), 100)
        return next((at for line in newest for at, _ in stamped([line])), -1) >= usec

    @property
    def silent_s(self) -> float:
        """Seconds since the console's last byte."""
        return time.monotonic() - self.last_byte_at

    @property
    def spawn(self) -> ConsoleSpawn:
        """The console as a pexpect object, for all that :meth:`expect` does not do.

        It starts with what the guest printed since it was switched on (the last MiB of it).
        """
        if self._spawn is None:
            from harness.guest.transport.console_expect import ConsoleSpawn

            self._spawn = ConsoleSpawn(self, self._channel)
        return self._spawn

    def expect(self, pattern: str, deadline: Deadline) -> re.Match[bytes]:
        """Wait until the console prints something that the regular expression *pattern* matches.

        Looks at what was not matched by an earlier call. Kernel messages may land anywhere in
        what a program prints: for results, use the agent or SSH.

        Raises:
            GuestError: the deadline passed, or the guest ended, without a match.
        """
        return self.spawn.match_of(pattern, deadline)

    def send(self, line: str) -> None:
        """Type *line* and the return key.

        Raises:
            GuestError: the guest is gone.
        """
        self.type(line.encode() + b"\r")

    def type(self, keys: bytes) -> None:
        """Type *keys* as they are.

        Raises:
            GuestError: the guest is gone.
        """
        try:
            self._channel.sendall(keys)
        except OSError as error:
            raise GuestError(f"the console takes no input: {error}") from error

    def take(self, limit: int, deadline: Deadline) -> bytes:
        """Return up to *limit* of the bytes that nobody took yet, b"" once there are no more.

        Raises:
            TimeoutError: there are none, and none came before *deadline*.
        """
        how = self._vitals.wait(lambda: bool(self._unread), deadline, lambda: self.closed)
        with self._vitals.changed:
            if not self._unread:
                if how is Wait.LATE:
                    raise TimeoutError
                return b""
            first = self._unread.popleft()
            if len(first) > limit:
                self._unread.appendleft(first[limit:])
            self._unread_size -= len(first[:limit])
            return first[:limit]


def newer_than(lines: Iterable[str], usec: int, known: Iterable[str]) -> list[str]:
    """Return the text of the console's *lines* stamped later than *usec* since boot.

    Lines stamped the very same microsecond count unless they are among *known*; lines without
    a stamp belong to the one before.
    """
    return [text for _, text in _newer(lines, usec, known)]


def complete_kmsg(log: Path, lines: Iterable[str], last: Record | None) -> None:
    """Append to the kernel log file *log* what only the console got, of its newest *lines*.

    *last* is the last record in it. A kernel that dies does so on its console: the port that its
    log is sent on is gone before.
    """
    told = lines_of(last.text) if last else ()
    newer = [line for line, _ in _newer(lines, last.usec if last else 0, told)]
    if newer:
        text = "\n".join((FROM_CONSOLE, *newer, ""))
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(text)


def _newer(lines: Iterable[str], usec: int, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the lines that :func:`newer_than` means, and the text of each."""
    seen = set(known)
    taking = False
    for line in lines:
        found = STAMP.search(line)
        text = line[found.end() :] if found else line
        if found:
            at = stamp_us(found)
            taking = at > usec or (at == usec and text not in seen)
        if taking:
            yield line, text
