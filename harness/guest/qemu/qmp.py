# SPDX-License-Identifier: GPL-2.0-only
"""QMP, QEMU's control channel, for callers that do not live in an event loop.

qemu.qmp speaks asyncio. All monitors of this process share one event loop in one thread, so a
guest costs no thread for it and events are taken in whether or not anybody asks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures as futures
import contextlib
import logging
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from typing import IO, Any, TypeVar

from qemu.qmp import QMPClient, QMPError

from harness.guest.qemu.argv import IGNORE_SHARED
from harness.guest.qemu.process import Once
from harness.host.deadline import Deadline
from harness.model.errors import GuestError

EVENTS_KEPT = 256
CLOSE_S = 5.0
POLL_S = 0.002  # saving a state takes some 10 ms
T = TypeVar("T")
# Without any handler, Python prints qemu.qmp's word about each lost connection on stderr; here a
# lost connection is how most guests end, and who needed it gets an exception.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)")


class Monitor:
    """A QMP connection on a socket, which it owns from now on.

    It is opened at its first use: most guests come and go without anybody asking.
    """

    def __init__(self, channel: socket.socket, *, negotiated: bool = False) -> None:
        """Prepare to talk on *channel*; *negotiated*: QEMU was told ``qmp_capabilities`` on it.

        Replies to what it was told before are dropped.
        """
        self._client = QMPClient()
        self._client.negotiate = not negotiated
        self._events: deque[Mapping[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._client.events.event_filter = self._note
        self._channel = channel
        self._opening: futures.Future[Exception | None] | None = None
        self._lock = threading.Lock()

    def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, deadline: Deadline
    ) -> Any:
        """Run a QMP command and return what it returns.

        Raises:
            GuestError: QEMU refused it, is gone, or did not answer before *deadline*.
        """
        self._opened(deadline)
        with _as_guest_error(f"QMP {command}"):
            asked = _submit(self._client.execute(command, dict(arguments or {})))
            return _result(asked, deadline)

    def human(self, line: str, *, deadline: Deadline) -> str:
        """Run a command of QEMU's human monitor, for what QMP itself does not tell."""
        text = self.execute("human-monitor-command", {"command-line": line}, deadline=deadline)
        return str(text)

    @property
    def events(self) -> tuple[Mapping[str, Any], ...]:
        """The newest events, oldest first."""
        return tuple(self._events)

    def forwarded_port(self, guest_port: int, deadline: Deadline) -> int:
        """Return the port on loopback that QEMU forwards to *guest_port*.

        Raises:
            GuestError: there is none: the guest has no network.
        """
        table = self.human("info usernet", deadline=deadline)
        for found in _FORWARD.finditer(table):
            if int(found[3]) == guest_port:
                return int(found[2])
        raise GuestError(f"QEMU forwards nothing to port {guest_port}", detail=table)

    def save_state(self, file: IO[bytes], deadline: Deadline) -> None:
        """Stop the guest and write the state of its devices into *file*; its RAM stays behind.

        Raises:
            GuestError: QEMU could not, or not before *deadline*.
        """
        self._opened(deadline)
        with _as_guest_error("QMP getfd"):
            _result(_submit(self._send_file(file, "state")), deadline)
        self.execute("migrate-set-capabilities", IGNORE_SHARED, deadline=deadline)
        self.execute("migrate", {"uri": "fd:state"}, deadline=deadline)
        while True:
            about = self.execute("query-migrate", deadline=deadline)
            if about.get("status") == "completed":
                return
            if about.get("status") in ("failed", "cancelled"):
                raise GuestError(f"QEMU cannot save the guest: {about.get('error-desc', about)}")
            time.sleep(POLL_S)

    def close(self) -> None:
        """Drop the connection; QEMU, if it still runs, goes on."""
        # An attempt to connect ends by itself then. Cancelling it confuses qemu.qmp 0.0.6, whose
        # clean-up runs twice and fails an assertion that nobody waits for.
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        if self._opening is None:
            return
        with contextlib.suppress(Exception):
            if self._opening.result(timeout=CLOSE_S) is None:
                _submit(self._client.disconnect()).result(timeout=CLOSE_S)

    def _note(self, event: Mapping[str, Any]) -> bool:
        """Keep *event*; return False, as the client's own queue of events has no bound."""
        self._events.append(event)
        return False

    async def _open(self, channel: socket.socket) -> Exception | None:
        """Connect; return what went wrong."""
        try:
            await self._client.connect(channel)
        except (QMPError, EOFError, OSError) as error:
            return error
        except AssertionError:
            # qemu.qmp 0.0.6 assumes that a connection stays after it was made, but the emulator may
            # be gone. The exception must be fetched, or asyncio prints it.
            with contextlib.suppress(Exception):
                await self._client.disconnect()
            return EOFError("QEMU is gone")
        return None

    async def _send_file(self, file: IO[bytes], name: str) -> None:
        self._client.send_fd_scm(file.fileno())
        await self._client.execute("getfd", {"fdname": name})

    def _opened(self, deadline: Deadline) -> None:
        with self._lock:
            if self._opening is None:
                self._opening = _submit(self._open(self._channel))
        with _as_guest_error("QMP greeting"):
            error = _result(self._opening, deadline)
            if error is not None:
                raise error


@contextlib.contextmanager
def _as_guest_error(doing: str) -> Iterator[None]:
    try:
        yield
    except (QMPError, EOFError, OSError, futures.CancelledError) as error:
        raise GuestError(f"{doing}: {error or type(error).__name__}") from error


def _result(asked: futures.Future[T], deadline: Deadline) -> T:
    seconds = deadline.remaining()
    try:
        return asked.result(None if seconds == float("inf") else seconds)
    except futures.TimeoutError as error:
        raise GuestError(f"QEMU did not answer within {deadline.seconds:.0f} s") from error


def _submit(work: Coroutine[Any, Any, T]) -> futures.Future[T]:
    return asyncio.run_coroutine_threadsafe(work, _loop())


@Once
def _loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of all monitors, running in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="qemu-monitors", daemon=True).start()
    return loop
