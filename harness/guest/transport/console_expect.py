# SPDX-License-Identifier: GPL-2.0-only
"""pexpect on a console that another thread drains: for people's own tests that type and wait."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Protocol

from pexpect import EOF, TIMEOUT
from pexpect.socket_pexpect import SocketSpawn

from harness.host.deadline import Deadline
from harness.model.errors import GuestError

if TYPE_CHECKING:
    _BytesSpawn = SocketSpawn[bytes]
else:
    _BytesSpawn = SocketSpawn

EXPECT_LIMIT = 16 * 2**20  # bytes looked at by one `expect` without a match


class Drained(Protocol):
    """A console that somebody drains and keeps."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The text printed so far."""

    def take(self, size: int, deadline: Deadline) -> bytes:
        """Return up to *size* bytes that nobody took yet; b"" once the guest ended."""


class ConsoleSpawn(_BytesSpawn):
    """pexpect on a console that another thread drains: reads come from what that thread kept."""

    def __init__(self, console: Drained, channel: socket.socket) -> None:
        super().__init__(channel, maxread=64 * 1024)
        self._console = console
        self._looked_at = 0  # bytes, by the present call
        self.linesep = b"\r"

    def match_of(self, pattern: str, deadline: Deadline) -> re.Match[bytes]:
        """As :meth:`harness.guest.transport.console.Console.expect`."""
        try:
            self.expect(pattern.encode(), timeout=min(deadline.remaining(), 1e6))
        except (EOF, TIMEOUT) as error:
            why = "the guest ended" if isinstance(error, EOF) else f"{deadline.seconds:.0f} s"
            raise GuestError(
                f"nothing on the console matched {pattern!r} ({why})",
                hint="see console.log",
                detail="\n".join(self._console.lines[-10:]),
            ) from error
        assert isinstance(self.match, re.Match)
        return self.match

    def expect_list(self, *args: Any, **kwargs: Any) -> Any:
        """As pexpect has it; a new call may look at 16 MiB again."""
        self._looked_at = 0
        return super().expect_list(*args, **kwargs)

    def expect_exact(self, *args: Any, **kwargs: Any) -> Any:
        """As pexpect has it; a new call may look at 16 MiB again."""
        self._looked_at = 0
        return super().expect_exact(*args, **kwargs)

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> bytes:
        """Return what came, as pexpect asks for it; EOF and TIMEOUT as pexpect has them."""
        if self._looked_at > EXPECT_LIMIT:
            raise GuestError(f"{EXPECT_LIMIT >> 20} MiB on the console, and no match")
        seconds = self.timeout if timeout == -1 else timeout
        deadline = Deadline.never() if seconds is None else Deadline(seconds)
        try:
            chunk = self._console.take(size, deadline)
        except TimeoutError as error:
            raise TIMEOUT("nothing came") from error
        if not chunk:
            self.flag_eof = True
            raise EOF("the guest ended")
        self._looked_at += len(chunk)
        return chunk
