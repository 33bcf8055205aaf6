# SPDX-License-Identifier: GPL-2.0-only
"""Our side of the sampler's port: it is told when to sample, and what it sends is kept."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from harness.guest.samples import CLOCK, Figures, parse_sample, sample_json
from harness.guest.transport.reader import CappedLog, LineCutter, Vitals
from harness.model.results import Mark

PERIOD_MS = 100
LINE_LIMIT = 4096  # bytes
LOG_LIMIT = 8 * 2**20  # bytes of samples.jsonl: more than three hours of samples


class Sampling:
    """The samples of a guest, as they come; a :class:`harness.guest.transport.reader.Sink`."""

    def __init__(self, channel: socket.socket, log: Path, vitals: Vitals) -> None:
        self.newest: Figures | None = None
        self.newest_at = 0.0  # monotonic
        self.bad_lines = 0  # were no samples, and were skipped
        self._channel = channel
        self._path = log
        self._log: CappedLog | None = None  # while samples are taken
        self._closed = False
        self._cutter = LineCutter(LINE_LIMIT)
        self._vitals = vitals
        self._begun_us: int | None = None

    # ------------------------------------------------------------ the reading thread's side

    def feed(self, chunk: bytes) -> None:
        with self._vitals.changed:
            for line in self._cutter.feed(chunk):
                self._take(line)
            self._vitals.changed.notify_all()

    def close(self) -> None:
        with self._vitals.changed:
            self._closed = True
            self._stop()

    def _stop(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _take(self, line: bytes) -> None:
        figures = parse_sample(line)
        if figures is None or self._log is None:
            self.bad_lines += 1
            return
        at = figures[CLOCK]
        assert isinstance(at, int)
        if self._begun_us is None:
            self._begun_us = at
        self.newest, self.newest_at = figures, time.monotonic()
        self._log.write(sample_json(figures, self._begun_us).encode() + b"\n")

    # ------------------------------------------------------------ the asking side

    @property
    def silent_s(self) -> float:
        """Seconds since the newest sample."""
        return time.monotonic() - self.newest_at

    def begin(self, module: str, period_ms: int = PERIOD_MS) -> None:
        """Let the guest sample from now on, and read what *module* counts."""
        with self._vitals.changed:
            self.newest, self._begun_us = None, None
            self._stop()
            if not self._closed:
                self._log = CappedLog(self._path, LOG_LIMIT)
        self._send(f"go {period_ms} {module}\n")

    def end(self, marks: Iterable[Mark] = ()) -> None:
        """Let it stop, and keep *marks* beside the samples."""
        self._send("stop\n")
        text = "".join(f"{mark.json()}\n" for mark in marks)
        with self._vitals.changed:
            self._stop()
        if text:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)

    def _send(self, order: str) -> None:
        """Send *order*; a guest that is gone, or has no sampler, is found out by others."""
        with contextlib.suppress(OSError):
            self._channel.sendall(order.encode())
