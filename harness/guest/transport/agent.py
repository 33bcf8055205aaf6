# SPDX-License-Identifier: GPL-2.0-only
"""Our side of the conversation with the guest's PID 1, and the kernel's log that it forwards."""

from __future__ import annotations

import contextlib
import itertools
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.guest.transport.lost_records import Gap
from harness.guest.transport.protocol import (
    LINE_LIMIT,
    Answer,
    Beat,
    End,
    Message,
    Out,
    Ready,
    Record,
    lines_of,
    parse,
    request,
)
from harness.guest.transport.reader import CappedLog, LineCutter, Vitals, Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError

ANSWER_S = 15.0  # for a request that only needs the guest to be alive, at reference speed
KMSG_LOG_LIMIT = 64 * 2**20  # bytes of kmsg.log
RECORDING_LIMIT = 16 * 2**20  # characters that one recording keeps in memory
OUTPUT_LIMIT = 4 * 2**20  # characters of one request's output that are kept in memory
MAX_GAPS = 1000  # in the kernel's log; of more, what is missing is not looked for


class NoAnswer(GuestError):
    """The guest did not answer; ``how`` says whether it is gone, cut off or merely silent."""

    def __init__(self, what: str, how: Wait) -> None:
        super().__init__(what, hint="see console.log and kmsg.log for the guest's last words")
        self.how = how


class GuestDied(NoAnswer):
    """The guest panicked, reset or powered off, and its kernel did that: not our fault (exit 1)."""

    exit_code = 1


@dataclass
class Request:
    """A request on its way: what has come back so far. Changes with the vitals' lock held."""

    id: int
    verb: str
    outs: list[str] = field(default_factory=list)
    dropped: int = 0  # output lines beyond the limit
    answer: Answer | None = None
    end: End | None = None
    _kept: int = 0

    def take(self, text: str) -> None:
        self._kept += len(text) + 1
        if self._kept <= OUTPUT_LIMIT:
            self.outs.append(text)
        else:
            self.dropped += 1


@dataclass
class Recording:
    """The kernel's log from a point on, as it comes in. Changes with the vitals' lock held."""

    records: list[Record] = field(default_factory=list)
    lost: int = 0  # records that the kernel or we had no room for
    _kept: int = 0

    def take(self, record: Record) -> None:
        self._kept += len(record.text) + 1
        if self._kept <= RECORDING_LIMIT:
            self.records.append(record)
        else:
            self.lost += 1

    def miss(self, gap: Gap, before: Record) -> None:
        """Note a *gap* before the record *before*, which is still to be taken."""
        self.lost += gap.count
        if self._kept <= RECORDING_LIMIT:
            self.records.append(replace(before, text=gap.mark))

    def lines(self) -> list[str]:
        """Return the text, one line each."""
        return [line for record in self.records for line in lines_of(record.text)]


class Agent:
    """A client of the agent protocol on one socket; a :class:`harness.guest.transport.reader.Sink`.

    Requests may be made from any thread. Every wait ends at once when the guest is gone.
    """

    def __init__(self, channel: socket.socket, log: Path, vitals: Vitals) -> None:
        self.ready: Ready | None = None
        self.beat: Beat | None = None
        self.beat_at = 0.0  # monotonic
        self.closed = False
        self.received = 0  # bytes
        self.bad_lines = 0  # were no messages, and were skipped
        self.stray = 0  # messages about requests that nobody made
        self.last_record: Record | None = None
        self.gaps: list[Gap] = []  # where records of the kernel's log are missing
        self._vitals = vitals
        self._channel = channel
        self._log = CappedLog(log, KMSG_LOG_LIMIT)
        self._cutter = LineCutter(LINE_LIMIT)
        self._ids = itertools.count(1)
        self._sending = threading.Lock()  # a line must not land in the middle of another
        self._requests: dict[int, Request] = {}
        self._recordings: list[Recording] = []

    # ------------------------------------------------------------ the reading thread's side

    def feed(self, chunk: bytes) -> None:
        lines = self._cutter.feed(chunk)
        with self._vitals.changed:
            self.received += len(chunk)
            for line in lines:
                self._take(parse(line))
            self._vitals.changed.notify_all()

    def close(self) -> None:
        self._log.close()
        with self._vitals.changed:
            self.closed = True
            self._vitals.changed.notify_all()

    def _take(self, message: Message | None) -> None:
        match message:
            case None:
                self.bad_lines += 1
            case Record():
                self._take_record(message)
            case Ready():
                self.ready = message
            case Beat():
                self.beat, self.beat_at = message, time.monotonic()
            case Out() | End() | Answer():
                self._take_reply(message)

    def _take_record(self, record: Record) -> None:
        last, self.last_record = self.last_record or record, record
        missed = record.seq - last.seq - 1
        stamp = f"[{record.usec // 1_000_000:5d}.{record.usec % 1_000_000:06d}] "
        text = "".join(f"{stamp}{line}\n" for line in lines_of(record.text))
        if missed > 0:
            text = f"[harness: {missed} records lost here]\n{text}"
            self._miss(Gap(last.usec, record.usec, missed), record)
        self._log.write(text.encode())
        for recording in self._recordings:
            recording.take(record)

    def _miss(self, gap: Gap, before: Record) -> None:
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(gap)
        for recording in self._recordings:
            recording.miss(gap, before)

    def _take_reply(self, message: Out | End | Answer) -> None:
        asked = self._requests.get(message.id)
        if asked is None:
            self.stray += 1
        elif isinstance(message, Out):
            asked.take(message.text)
        elif isinstance(message, Answer):
            asked.answer = message
        else:
            asked.end = message

    # ------------------------------------------------------------ the asking side

    def send(self, verb: str, *arguments: str, payload: bytes = b"") -> Request:
        """Send a request, with *payload* behind its line, and return it at once.

        Raises:
            NoAnswer: the channel takes nothing: the guest is gone, or does not read.
            GuestError: the request is longer than the protocol allows.
        """
        asked = Request(next(self._ids), verb)
        try:
            line = request(verb, asked.id, *arguments)
        except ValueError as error:
            raise GuestError(f"cannot ask the guest to {verb}: {error}") from error
        with self._vitals.changed:
            self._requests[asked.id] = asked
        try:
            with self._sending:
                self._channel.sendall(line + payload)
        except TimeoutError as error:
            self.forget(asked)
            raise NoAnswer(f"the guest does not read its requests ({verb})", Wait.LATE) from error
        except OSError as error:
            self.forget(asked)
            how = self._vitals.wait(lambda: False, Deadline(1.0), lambda: self.closed)
            raise NoAnswer(f"the guest is gone ({verb})", how) from error
        return asked

    def forget(self, asked: Request) -> None:
        """Drop *asked*: what still comes for it is ignored."""
        with self._vitals.changed:
            self._requests.pop(asked.id, None)

    def put(self, path: str, file: Path, deadline: Deadline) -> Answer:
        """Copy *file* to *path* in the guest, and return the guest's answer.

        Raises:
            NoAnswer: none came.
        """
        content = file.read_bytes()
        mode = "755" if file.stat().st_mode & stat.S_IXUSR else "644"
        words = (path, mode, str(len(content)))
        return self.call("put", *words, payload=content, deadline=deadline)

    def call(self, verb: str, *arguments: str, payload: bytes = b"", deadline: Deadline) -> Answer:
        """Ask for something that is answered with ok or err, and return the answer.

        Raises:
            NoAnswer: none came.
        """
        asked = self.send(verb, *arguments, payload=payload)
        try:
            self._until(asked, lambda: bool(asked.answer or asked.end), deadline)
        finally:
            self.forget(asked)
        if asked.answer is None:
            return Answer(asked.id, ok=bool(asked.end and asked.end.well), text=str(asked.end))
        return asked.answer

    def run(self, verb: str, *arguments: str, deadline: Deadline) -> Request:
        """Ask for something that prints and ends, and return it with its ``end``.

        An ``err`` answer (a verb or program that is not there) also ends it: ``answer`` is set.

        Raises:
            NoAnswer: it did not end.
        """
        asked = self.send(verb, *arguments)
        try:
            self._until(asked, lambda: bool(asked.end or asked.answer), deadline)
        finally:
            self.forget(asked)
        return asked

    def start(self, *argv: str, deadline: Deadline) -> Request:
        """Start a program in the background and return its request, which goes on collecting.

        The caller has to :meth:`forget` it in the end.

        Raises:
            NoAnswer: the guest did not answer.
            GuestError: there is no such program.
        """
        asked = self.send("start", *argv)
        try:
            self._until(asked, lambda: asked.answer is not None, deadline)
            if asked.answer is not None and not asked.answer.ok:
                raise GuestError(f"the guest cannot start {argv[0]}: {asked.answer.text}")
        except BaseException:
            self.forget(asked)
            raise
        return asked

    def hear(self, asked: Request, text: str, deadline: Deadline) -> Wait:
        """Wait until *asked* printed the line *text*; MET also when it ended without."""
        seen = 0

        def met() -> bool:
            nonlocal seen
            fresh, seen = asked.outs[seen:], len(asked.outs)
            return text in fresh or asked.end is not None

        return self._vitals.wait(met, deadline, lambda: self.closed)

    def wait_ready(self, deadline: Deadline) -> Wait:
        """Wait until the guest says that it is ready."""
        return self._vitals.wait(lambda: self.ready is not None, deadline, lambda: self.closed)

    def wait_end(self, asked: Request, deadline: Deadline) -> Wait:
        """Wait until *asked* ended."""
        return self._vitals.wait(lambda: asked.end is not None, deadline, lambda: self.closed)

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recording]:
        """Collect the kernel's log while inside; what is in it stays readable afterwards."""
        made = Recording()
        self.record(made)
        try:
            yield made
        finally:
            self.record(None, after=made)

    def record(self, into: Recording | None, after: Recording | None = None) -> None:
        """Collect the kernel's log *into* from now on, and no more in what it comes *after*.

        No record falls between the two.
        """
        with self._vitals.changed:
            # By identity: two recordings that hold the same records are equal.
            kept = [other for other in self._recordings if other is not after]
            self._recordings = kept if into is None else [*kept, into]

    def mark(self, text: str, recording: Recording, deadline: Deadline) -> int | None:
        """Write *text* into the kernel's log; return its place in *recording*, None without one.

        Every record before that place is older than the mark. There is none where the guest
        has no log to write to or the mark got lost in a flood.

        Raises:
            NoAnswer: the guest did not answer.
        """
        begin = len(recording.records)
        # Without its newline the record stays open for a continuation, and nobody gets to read it
        # until the next one comes (since 5.10's ring buffer).
        if not self.call("write", "/dev/kmsg", f"{text}\n", deadline=deadline).ok:
            return None
        place: int | None = None

        def met() -> bool:
            nonlocal place, begin
            for index in range(begin, len(recording.records)):
                if recording.records[index].text == text:
                    place = index
                    return True
            begin = len(recording.records)
            return False

        self._vitals.wait(met, deadline, lambda: self.closed)
        return place

    def _until(self, asked: Request, met: Callable[[], bool], deadline: Deadline) -> None:
        how = self._vitals.wait(met, deadline, lambda: self.closed)
        if how is not Wait.MET:
            raise NoAnswer(_WHY[how].format(verb=asked.verb, seconds=deadline.seconds), how)


_WHY = {
    Wait.GONE: "the guest died before it answered ({verb})",
    Wait.CUT: "the guest's agent port was closed before it answered ({verb})",
    Wait.LATE: "the guest did not answer within {seconds:.0f} s ({verb})",
}
