# SPDX-License-Identifier: GPL-2.0-only
"""SSH into a guest: over loopback, with a key made for this guest, to the host key it told us."""

from __future__ import annotations

import base64
import io
import logging
import select
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.host.deadline import Deadline
from harness.model.errors import GuestError

OUTPUT_LIMIT = 16 * 2**20  # bytes kept of a command's stdout and of its stderr
FETCH_LIMIT = 256 * 2**20  # bytes of a file
CHUNK = 64 * 1024
# Without any handler, Python prints paramiko's stack traces on stderr; the caller gets them as an
# exception.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
# Seconds after which a command's channel is looked at even if nothing was announced: room for more
# input is never announced, and paramiko's pipe loses a wake-up now and then when stdout and stderr
# are filled and emptied at the same time (its two halves share a flag without a common lock).
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True)
class CommandResult:
    """The output of a command in the guest, and its exit status."""

    raw: bytes  # stdout
    raw_stderr: bytes
    exit: int  # -1: ended by a signal
    dropped: int = 0  # bytes beyond the limit

    @property
    def stdout(self) -> str:
        return self.raw.decode("utf-8", "backslashreplace")

    @property
    def stderr(self) -> str:
        return self.raw_stderr.decode("utf-8", "backslashreplace")


class ClientKey:
    """An ed25519 key that exists only in this process, for one guest."""

    def __init__(self) -> None:
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        self.key = paramiko.Ed25519Key.from_private_key(io.StringIO(pem.decode()))

    @property
    def authorized_key(self) -> str:
        """The line for authorized_keys."""
        return f"{self.key.get_name()} {self.key.get_base64()} harness"


class Ssh:
    """A connection to one guest; a context manager. Commands may run at the same time."""

    def __init__(
        self,
        port: int,
        client_key: ClientKey,
        host_key: str,
        deadline: Deadline,
        user: str = "root",
        blame: Callable[[GuestError], GuestError] = lambda error: error,
    ) -> None:
        """Connect to *port* on loopback; *host_key* is the guest's, "ssh-ed25519 AAAA...".

        *blame* tells what a connection that broke means, as where the guest is gone.

        Raises:
            GuestError: no answer, or not from this guest: it shows another host key.
        """
        self.port = port
        self.host_key = host_key
        self._blame = blame
        try:
            channel = socket.create_connection(("127.0.0.1", port), deadline.remaining())
        except OSError as error:
            raise blame(GuestError(f"SSH: nothing answers on port {port}: {error}")) from None
        self._transport = paramiko.Transport(channel)
        try:
            self._handshake(client_key, host_key, deadline, user)
        except BaseException:
            self._transport.close()
            raise

    def _handshake(
        self, client_key: ClientKey, host_key: str, deadline: Deadline, user: str
    ) -> None:
        transport = self._transport
        # A guest under emulation may take long for its first words.
        transport.banner_timeout = transport.auth_timeout = max(1.0, deadline.remaining())
        transport.handshake_timeout = transport.banner_timeout
        try:
            transport.start_client(timeout=max(1.0, deadline.remaining()))
            shown = transport.get_remote_server_key()
            kind, _, blob = host_key.partition(" ")
            pinned = base64.b64decode(blob.split(" ")[0])
            if shown.get_name() != kind or shown.asbytes() != pinned:
                raise GuestError(
                    "SSH: another host key than the guest's own: something else answers there"
                )
            transport.auth_publickey(user, client_key.key)
        except (paramiko.SSHException, EOFError, OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            failure = GuestError(f"SSH: no session with the guest: {said}")
            raise self._blame(failure) from None

    def run(self, command: str, timeout_s: float = 30.0, stdin: bytes = b"") -> CommandResult:
        """Run *command* in the guest's shell and wait for its end.

        ``timeout_s`` is in seconds of the host, not scaled.

        Raises:
            GuestError: the connection broke, or the command did not end in time.
        """
        return self._run(command, Deadline(timeout_s), stdin, OUTPUT_LIMIT)

    def fetch(self, path: str, timeout_s: float = 60.0) -> bytes:
        """Return the content of a file in the guest.

        Raises:
            GuestError: there is no such file, it is larger than 256 MiB, or the connection broke.
        """
        done = self._run(f"cat -- {shlex.quote(path)}", Deadline(timeout_s), b"", FETCH_LIMIT)
        if done.exit != 0:
            raise GuestError(f"cannot fetch {path}: {done.stderr.strip() or done.exit}")
        if done.dropped:
            raise GuestError(f"cannot fetch {path}: larger than {FETCH_LIMIT >> 20} MiB")
        return done.raw

    def _run(self, command: str, deadline: Deadline, stdin: bytes, limit: int) -> CommandResult:
        try:
            channel = self._transport.open_session(timeout=max(0.1, deadline.remaining()))
            with channel:
                channel.exec_command(command)
                out, err = _Output(limit), _Output(limit)
                _exchange(channel, stdin, out, err, deadline)
                code = channel.exit_status
        except TimeoutError:
            raise GuestError(f"SSH: not done within {deadline.seconds:.0f} s: {command}") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._broken(f"{command}: {error}") from None
        if code == -1 and not self._transport.is_active():
            raise self._broken(command)
        return CommandResult(bytes(out.kept), bytes(err.kept), code, out.dropped + err.dropped)

    def _broken(self, what: str) -> GuestError:
        return self._blame(GuestError(f"SSH: the connection broke during: {what}"))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Output:
    def __init__(self, limit: int) -> None:
        self.kept = bytearray()
        self.dropped = 0
        self._limit = limit

    def take(self, chunk: bytes) -> None:
        room = self._limit - len(self.kept)
        self.kept += chunk[:room]
        self.dropped += max(0, len(chunk) - room)


def _exchange(
    channel: paramiko.Channel, stdin: bytes, out: _Output, err: _Output, deadline: Deadline
) -> None:
    """Feed *stdin* to the command and take what it prints until it has ended.

    Raises:
        TimeoutError: *deadline* passed before.
    """
    left = memoryview(stdin)
    if not left:
        channel.shutdown_write()
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)  # readable: stdout, stderr or the end
    while True:
        # Asked before draining: what came before the end must not be lost.
        ended = channel.eof_received or channel.closed
        while channel.recv_ready():
            out.take(channel.recv(CHUNK))
        while channel.recv_stderr_ready():
            err.take(channel.recv_stderr(CHUNK))
        if ended:
            break
        if left and channel.send_ready():
            left = _feed(channel, left)
            continue
        seconds = deadline.remaining()
        if seconds <= 0:
            raise TimeoutError
        poll.poll(1000 * min(seconds, LOOK_AGAIN_S))
    if not channel.status_event.wait(min(deadline.remaining(), 1e6)):
        raise TimeoutError


def _feed(channel: paramiko.Channel, left: memoryview) -> memoryview:
    """Send some of *left* and return the rest; nothing is left when the command reads no more."""
    try:
        left = left[channel.send(bytes(left[:CHUNK])) :]
    except OSError:
        return left[len(left) :]
    if not left:
        channel.shutdown_write()
    return left
