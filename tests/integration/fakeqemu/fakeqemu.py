# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that is none: takes our command line, opens the same channels, and plays a scenario.

The scenario is the TOML file that ``-kernel`` names. It is a list of actions under ``boot``,
played in order at the start, and a table ``on`` of further ones, played when the agent is asked
for that verb, or its sampler to ``go``. An action is a table with one key:

    console = "text"       printed on the console as it is
    console_hex = "e2 82"  the same as bytes
    agent = "line"         one line from the guest's PID 1; {id} is the request's, {seq} counts,
                           {arg} is the request's first argument, {args} are all
    agent_hex = "..."      bytes on the agent's port
    samples = "line"       one line from the guest's sampler
    flood = [channel, n]   n MiB of lines on "console", "agent" or "stderr"
    stderr = "text"        what QEMU complains about
    await = "console"      wait until somebody types a line there
    nap = 0.5              do nothing for so many seconds
    close = "agent"        close that channel
    exit = 0               end like this; a negative number is a signal

A file that follows a ``put`` is taken whole; its content is the argument {arg} of the actions for
``put``. A guest that is saved (QMP's ``migrate``) leaves its scenario in the state file, and a
clone plays the list ``clone`` of it in place of ``boot``. ``unsavable = true``: saving fails.

``status`` is what QMP says of the run, in place of "running". The table ``monitor`` has the answers
to commands of the human monitor; ``nmi`` is a list of actions, played on an NMI: a board without it
refuses one.

``split = true`` sends everything one byte at a time. ``ignore = ["quit", "term"]`` makes it one
that does not want to end, and "human" one whose human monitor never answers. ``usernet`` is the
port that it claims to forward. Uses nothing but the standard library, and nothing of the harness:
it must not agree with it by accident.
"""

import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time
import tomllib
import urllib.parse
from pathlib import Path

GREETING = {
    "QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": "fake"},
        "capabilities": ["oob"],
    }
}
ANSWERS = {
    "hello": [{"agent": "ok {id} proto=1 release=5.10.0-fake"}],
    "write": [{"agent": "ok {id}"}],
    "wake": [{"agent": "ok {id}"}],
    "put": [{"agent": "ok {id}"}],
    "rmmod": [{"agent": "ok {id}"}],
}


class Fake:
    """The channels, and the scenario that is played on them."""

    def __init__(self, argv: list[str]) -> None:
        self.sockets = {}
        self.scenario = {}
        self.text = ""
        self.given = -1  # the file that came over the monitor
        self.put = None  # the request whose file is on its way: words, bytes that are missing
        for name, value in itertools.pairwise(argv):
            if name == "-chardev":
                self._open(value)
            if name == "-kernel":
                self._load(Path(value).read_text())
        self.seq = 0
        self.words = ""  # all arguments of the latest request
        self.partial = dict.fromkeys(self.sockets, b"")
        self.selector = selectors.DefaultSelector()
        # A clone's guest hears nothing before it goes on.
        heard = ("monitor",) if "-incoming" in argv else tuple(self.sockets)
        for name in heard:
            self.selector.register(self.sockets[name], selectors.EVENT_READ, name)

    def _load(self, text: str) -> None:
        self.text, self.scenario = text, tomllib.loads(text)

    def _open(self, value: str) -> None:
        kind, *pairs = value.split(",")
        options = dict(pair.split("=", 1) for pair in pairs)
        if kind != "socket" or set(options) != {"id", "fd"}:
            sys.exit(f"fake QEMU: -chardev {value}: not understood")
        self.sockets[options["id"]] = socket.socket(fileno=int(options["fd"]))

    # ------------------------------------------------------------ playing

    def play(self, actions: list[dict], number: str = "0", argument: str = "") -> None:
        for action in actions:
            ((what, value),) = action.items()
            getattr(self, f"do_{what}")(value, number, argument)

    def do_console(self, value: str, *_: str) -> None:
        self.send("console", value.encode())

    def do_console_hex(self, value: str, *_: str) -> None:
        self.send("console", bytes.fromhex(value))

    def do_agent(self, value: str, number: str, argument: str) -> None:
        if "{seq}" in value:
            self.seq += 1
        line = value.replace("{id}", number).replace("{seq}", str(self.seq))
        line = line.replace("{args}", self.words).replace("{arg}", argument)
        self.send("agent", line.encode() + b"\n")

    def do_agent_hex(self, value: str, *_: str) -> None:
        self.send("agent", bytes.fromhex(value))

    def do_samples(self, value: str, *_: str) -> None:
        self.send("samples", value.encode() + b"\n")

    def do_skip(self, value: int, *_: str) -> None:
        self.seq += value

    def do_flood(self, value: list, *_: str) -> None:
        channel, mebibytes = value
        line = (b"x" * 120 + b"\r\n") * 1000
        for _ in range(mebibytes * 2**20 // len(line) + 1):
            if channel == "stderr":
                os.write(2, line)
            else:
                self.send(channel, line)

    def do_stderr(self, value: str, *_: str) -> None:
        os.write(2, value.encode())

    def do_await(self, value: str, *_: str) -> None:
        got = b""
        while not got.endswith((b"\r", b"\n")):
            chunk = self.sockets[value].recv(1)
            if not chunk:
                os._exit(0)
            got += chunk

    def do_nap(self, value: float, *_: str) -> None:
        time.sleep(value)

    def do_close(self, value: str, *_: str) -> None:
        channel = self.sockets.pop(value)
        self.selector.unregister(channel)
        channel.close()

    def do_exit(self, value: int, *_: str) -> None:
        if value < 0:
            os.kill(os.getpid(), -value)
        os._exit(value)

    def send(self, channel: str, raw: bytes) -> None:
        if channel not in self.sockets:
            return
        pieces = [raw[i : i + 1] for i in range(len(raw))] if self.scenario.get("split") else [raw]
        for piece in pieces:
            try:
                self.sockets[channel].sendall(piece)
            except OSError:  # the harness is gone
                return

    # ------------------------------------------------------------ serving

    def serve(self) -> None:
        self.send("monitor", json.dumps(GREETING).encode() + b"\r\n")
        self.play(self.scenario.get("boot", []))
        while True:
            for key, _ in self.selector.select():
                chunk, fds, _, _ = socket.recv_fds(key.fileobj, 4096, 1)
                self.given = fds[0] if fds else self.given
                if not chunk:
                    # As QEMU: whoever closes our channels has not told us to end.
                    self.selector.unregister(key.fileobj)
                    continue
                getattr(self, f"take_{key.data}", lambda _: None)(chunk)

    def take_agent(self, chunk: bytes) -> None:
        left = self.partial["agent"] + chunk
        while True:
            if self.put is not None:
                line, size = self.put
                if len(left) < size:
                    break
                verb, number, *_ = line.split(" ")
                replies = self.scenario.get("on", {}).get(verb, ANSWERS[verb])
                self.play(replies, number, urllib.parse.quote(left[:size]))
                left, self.put = left[size:], None
            line, end, rest = left.partition(b"\n")
            if not end:
                break
            left = rest
            if line.startswith(b"put "):
                self.put = (line.decode(), int(line.split(b" ")[4]))
            else:
                self.on_agent(line.decode())
        self.partial["agent"] = left

    def take_samples(self, chunk: bytes) -> None:
        *orders, left = (self.partial["samples"] + chunk).split(b"\n")
        for order in orders:
            self.play(self.scenario.get("on", {}).get(order.decode().partition(" ")[0], []))
        self.partial["samples"] = left

    def take_monitor(self, chunk: bytes) -> None:
        # QMP messages follow each other with nothing between them that would have to be there.
        text = (self.partial["monitor"] + chunk).decode().lstrip()
        while text:
            try:
                asked, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break
            self.on_monitor(asked)
            text = text[end:].lstrip()
        self.partial["monitor"] = text.encode()

    def on_agent(self, line: str) -> None:
        verb, number, *arguments = line.split(" ")
        argument = arguments[0] if arguments else ""
        replies = self.scenario.get("on", {})
        specific = f"{verb} {urllib.parse.unquote(argument)}"
        if specific == "write /dev/kmsg":
            # A real kernel's log has what was written to it before the write is answered, and
            # shows it once the line is complete.
            text, end, _ = urllib.parse.unquote(arguments[1]).partition("\n")
            if end and not self.scenario.get("no_kmsg"):
                self.play([{"agent": f"kmsg 12,{{seq}},{1000 + self.seq};{text}"}], number)
            replies = {specific: replies.get(specific, ANSWERS["write"])}
        if specific == "write /sys/kernel/debug/kmemleak":  # few kernels have it
            absent = [{"agent": "err {id} No%20such%20file%20or%20directory"}]
            replies = {specific: replies.get(specific, absent)}
        unknown = [{"agent": "err {id} unknown%20verb"}]
        actions = replies.get(specific, replies.get(verb, ANSWERS.get(verb, unknown)))
        self.words = " ".join(arguments)
        self.play(actions, number, argument)

    def on_monitor(self, asked: dict) -> None:
        answer = {"return": {}}
        match asked["execute"]:
            case "human-monitor-command":
                command = asked["arguments"]["command-line"]
                known = self.scenario.get("monitor", {})
                answer = {"return": known.get(command, self._usernet())}
            case "inject-nmi" if "nmi" in self.scenario:
                pass
            case "query-status":
                status = self.scenario.get("status", "running")
                answer = {"return": {"status": status, "running": status == "running"}}
            case "qmp_capabilities" | "quit" | "getfd" | "migrate-set-capabilities":
                pass
            case "migrate":
                os.write(self.given, self.text.encode())
            case "query-migrate" if self.scenario.get("unsavable"):
                answer = {"return": {"status": "failed", "error-desc": "not this one"}}
            case "query-migrate":
                answer = {"return": {"status": "completed"}}
            case "migrate-incoming":
                self.resume(int(asked["arguments"]["uri"].removeprefix("fd:")))
            case other:
                answer = {"error": {"class": "CommandNotFound", "desc": f"no command {other}"}}
        ignored = self.scenario.get("ignore", [])
        if asked["execute"].partition("-")[0] in ignored:
            return
        self.send("monitor", json.dumps(answer | {"id": asked.get("id")}).encode() + b"\r\n")
        if asked["execute"] == "quit":
            os._exit(0)
        if asked["execute"] == "inject-nmi":
            self.play(self.scenario.get("nmi", []))

    def resume(self, state: int) -> None:
        self._load(os.read(state, 1 << 20).decode())
        self.play(self.scenario.get("clone", []))
        for name, channel in self.sockets.items():
            if name != "monitor":
                self.selector.register(channel, selectors.EVENT_READ, name)

    def _usernet(self) -> str:
        if "usernet" not in self.scenario:
            return ""
        head = (
            "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port"
        )
        port = self.scenario["usernet"]
        row = f"  TCP[HOST_FORWARD]  12       127.0.0.1 {port}       10.0.2.15    22     0     0"
        return f"{head} RecvQ SendQ\r\n{row}\r\n"


def main() -> None:
    if "--version" in sys.argv:
        print("QEMU emulator version 7.2.0 (fake)")
        return
    fake = Fake(sys.argv[1:])
    if "term" in fake.scenario.get("ignore", []):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    fake.serve()


if __name__ == "__main__":
    main()
