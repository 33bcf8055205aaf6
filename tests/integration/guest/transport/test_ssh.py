# SPDX-License-Identifier: GPL-2.0-only
"""SSH against a server of this process: what it checks, what it returns, when it gives up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from harness.guest.guest import boot
from harness.guest.transport import ssh as ssh_module
from harness.guest.transport.ssh import ClientKey, Ssh
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from tests.integration.fakeqemu import BOOTS, fake_guest

SOON = 20.0


class Polite(paramiko.Transport):
    """A server's end that lets a command begin only when the client knows that it was accepted."""

    def __init__(self, channel: socket.socket) -> None:
        super().__init__(channel)
        self.accepted = threading.Semaphore(0)

    def _send_user_message(self, message: paramiko.Message) -> None:
        super()._send_user_message(message)
        if message.asbytes()[:1] == b"\x63":  # SSH_MSG_CHANNEL_SUCCESS
            self.accepted.release()


class Server(paramiko.ServerInterface):
    """Lets one key in and answers a few commands, as a guest's shell would."""

    def __init__(self) -> None:
        self.host_key = ClientKey().key
        self.shown: list[str] = []  # keys that were tried
        self.users: list[str] = []
        self.allowed = ""
        self.transport: Polite | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def pinned(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            while True:
                channel, _ = self._listener.accept()
                self.transport = Polite(channel)
                self.transport.add_server_key(self.host_key)
                self.transport.start_server(server=self)

    def close(self) -> None:
        self._listener.close()
        if self.transport is not None:
            self.transport.close()

    def get_allowed_auths(self, _: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.users.append(username)
        self.shown.append(f"{key.get_name()} {key.get_base64()}")
        good = self.allowed in ("", self.shown[-1])
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, *_: object) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        words = command.decode().split(" ", 1)
        run = getattr(self, f"run_{words[0]}")

        def begin() -> None:
            channel.get_transport().accepted.acquire()
            run(channel, words[-1])

        threading.Thread(target=begin, daemon=True).start()
        return True

    def run_echo(self, channel: paramiko.Channel, text: str) -> None:
        channel.sendall(text.encode())
        channel.sendall_stderr(b"complaint \xff")
        self.end(channel, 3)

    def run_rot(self, channel: paramiko.Channel, _: str) -> None:
        """Gives back what it reads, byte for byte and twice, while it still reads."""
        while chunk := channel.recv(4096):
            channel.sendall(chunk)
            channel.sendall_stderr(chunk)
        self.end(channel, 0)

    def run_deaf(self, channel: paramiko.Channel, _: str) -> None:
        self.end(channel, 7)

    def run_hang(self, channel: paramiko.Channel, _: str) -> None:
        channel.sendall(b"begun")

    def run_break(self, channel: paramiko.Channel, _: str) -> None:
        channel.sendall(b"begun")
        channel.get_transport().close()

    def run_killed(self, channel: paramiko.Channel, _: str) -> None:
        message = paramiko.Message()
        message.add_byte(b"\x62")  # SSH_MSG_CHANNEL_REQUEST
        message.add_int(channel.remote_chanid)
        message.add_string("exit-signal")
        message.add_boolean(False)
        message.add_string("KILL")
        message.add_boolean(False)
        message.add_string("")
        message.add_string("")
        channel.transport._send_user_message(message)
        channel.close()

    def run_cat(self, channel: paramiko.Channel, path: str) -> None:
        path = path.removeprefix("-- ").strip("'")
        if "missing" in path:
            channel.sendall_stderr(f"cat: {path}: No such file".encode())
            self.end(channel, 1)
        else:
            channel.sendall(path.encode() + bytes(range(256)) * 4096)
            self.end(channel, 0)

    def end(self, channel: paramiko.Channel, status: int) -> None:
        channel.send_exit_status(status)
        channel.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def ssh(server: Server) -> Iterator[Ssh]:
    with Ssh(server.port, ClientKey(), server.pinned, Deadline(SOON)) as connected:
        yield connected


def test_a_command_gives_output_complaints_and_status(ssh: Ssh) -> None:
    done = ssh.run("echo hello world")
    assert done.stdout == "hello world"
    assert done.stderr == "complaint \\xff"
    assert (done.exit, done.dropped) == (3, 0)
    assert ssh.run("echo again").stdout == "again"


def test_input_and_both_outputs_flow_at_the_same_time(ssh: Ssh) -> None:
    # More than any window: whoever sends first and reads later would wait for ever.
    content = bytes(range(256)) * 10_000
    done = ssh.run("rot", 120.0, stdin=content)
    assert done.raw == content
    assert done.raw_stderr == content
    assert done.exit == 0


def test_ssh_command_ignoring_stdin_is_no_error(ssh: Ssh) -> None:
    assert ssh.run("deaf", stdin=b"x" * 3_000_000).exit == 7


def test_output_beyond_the_limit_is_dropped_and_counted(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_module, "OUTPUT_LIMIT", 5)
    done = ssh.run("echo hello world")
    assert (done.stdout, done.stderr) == ("hello", "compl")
    assert done.dropped == 12


def test_a_command_ended_by_a_signal_is_no_broken_connection(ssh: Ssh) -> None:
    assert ssh.run("killed").exit == -1


def test_ssh_command_without_end_is_given_up(ssh: Ssh) -> None:
    with pytest.raises(GuestError, match="not done within 0 s: hang"):
        ssh.run("hang", timeout_s=0.1)
    assert ssh.run("echo still there").stdout == "still there"


def test_ssh_wait_ends_with_connection(ssh: Ssh) -> None:
    begun = time.monotonic()
    with pytest.raises(GuestError, match="connection broke"):
        ssh.run("break", timeout_s=600)
    assert time.monotonic() - begun < SOON


def test_a_file_comes_whole(ssh: Ssh) -> None:
    assert ssh.fetch("/tmp/a b") == b"/tmp/a b" + bytes(range(256)) * 4096


def test_ssh_fetch_of_missing_file_says_so(ssh: Ssh) -> None:
    with pytest.raises(GuestError, match="cannot fetch /missing: cat: /missing: No such file"):
        ssh.fetch("/missing")


def test_ssh_fetch_of_large_file_says_so(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_module, "FETCH_LIMIT", 2**20)
    with pytest.raises(GuestError, match="larger than 1 MiB"):
        ssh.fetch("/large")


def test_only_the_guests_own_key_is_shown(server: Server) -> None:
    key = ClientKey()
    Ssh(server.port, key, server.pinned, Deadline(SOON)).close()
    assert set(server.shown) == {key.authorized_key.removesuffix(" harness")}
    assert set(server.users) == {"root"}


def test_another_host_key_is_refused_before_any_key_is_shown(server: Server) -> None:
    other = ClientKey().authorized_key
    with pytest.raises(GuestError, match="another host key"):
        Ssh(server.port, ClientKey(), other, Deadline(SOON))
    assert server.shown == []


def test_ssh_with_unknown_client_key_is_an_error(server: Server) -> None:
    server.allowed = "somebody else"
    with pytest.raises(GuestError, match="no session with the guest"):
        Ssh(server.port, ClientKey(), server.pinned, Deadline(SOON))


def test_ssh_to_closed_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(GuestError, match=f"nothing answers on port {port}"):
        Ssh(port, ClientKey(), "ssh-ed25519 AAAA", Deadline(SOON))


@pytest.mark.parametrize(
    "speak", [lambda s: s.close(), lambda s: s.sendall(b"HTTP/1.1 400\r\n" * 300)]
)
def test_ssh_to_other_server_is_an_error(
    speak: Callable[[socket.socket], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            channel, _ = listener.accept()
            with channel:
                speak(channel)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(GuestError, match="no session with the guest"):
            Ssh(listener.getsockname()[1], ClientKey(), "ssh-ed25519 AAAA", Deadline(2.0))
        thread.join()
    assert "Traceback" not in capfd.readouterr().err


def test_two_guests_have_two_keys() -> None:
    assert ClientKey().authorized_key != ClientKey().authorized_key
    assert ClientKey().authorized_key.startswith("ssh-ed25519 AAAA")


def test_ssh_server_starts_once_with_pinned_key(tmp_path: Path, server: Server) -> None:
    script = f"""
    usernet = {server.port}
    {BOOTS}
    [on]
    sshd = [
        {{ agent = "kmsg 6,{{seq}},1;{{arg}}" }},
        {{ agent = "ok {{id}} hostkey={server.pinned.replace(" ", "%20")}" }},
    ]"""
    with boot(fake_guest(tmp_path, script), tmp_path) as guest:
        for _ in range(2):
            with guest.ssh() as connected:
                assert connected.run("echo hi").stdout == "hi"
    told = (tmp_path / "kmsg.log").read_text().splitlines()
    assert len(told) == 1
    assert {f"{key}%20harness" for key in server.shown} == {
        told[0].split("] ")[1].replace("ssh-ed25519%20", "ssh-ed25519 ")
    }
