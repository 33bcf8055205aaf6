# SPDX-License-Identifier: GPL-2.0-only
"""The language that the harness and the guest's PID 1 speak over the agent's port; pure.

Lines of ASCII, at most 8192 bytes; the first token is the verb, tokens are separated by one
space, arguments are percent-encoded. Whatever a guest sends, parsing never fails: a line that
is no message is ``None``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from harness.model.text import visible

LINE_LIMIT = 8192  # bytes, without the line's end
PROTOCOL = 1
MAX_NUMBER = 10**15  # that a guest says of itself: more is taken for this, which a float can hold
_KMSG = re.compile(r"[0-9]{1,10},([0-9]{1,20}),([0-9]{1,20});(.*)")
_ESCAPES = re.compile(r"(?:\\x[0-9a-f]{2})+")
_END = re.compile(r"(exit|signal|errno):([0-9]{1,9})")
_SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


@dataclass(frozen=True)
class Ready:
    """A guest's description of itself: sent when it has booted, and again when asked."""

    release: str  # of its kernel: "5.10.262"
    mem_total_kb: int = 0
    mem_free_kb: int = 0
    cpus: int = 0
    uptime_ms: int = 0
    spin_us: int = 0  # what a fixed CPU-bound loop took


@dataclass(frozen=True)
class Record:
    """One record of the kernel's log; ``text`` may hold line breaks."""

    seq: int
    usec: int  # since boot
    text: str


@dataclass(frozen=True)
class Out:
    """One line that a program in the guest wrote."""

    id: int
    text: str


@dataclass(frozen=True)
class End:
    """The end of an insmod or a program: ``exit``, ``signal`` or ``errno``, with its number."""

    id: int
    how: str
    number: int

    @property
    def well(self) -> bool:
        return self.how == "exit" and self.number == 0

    def __str__(self) -> str:
        return f"{self.how} {self.number}"


@dataclass(frozen=True)
class Answer:
    """The answer to any other request: ``text`` says why not, ``keys`` what came with an ok."""

    id: int
    ok: bool
    text: str = ""
    keys: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Beat:
    """The guest's sign of life, once a second."""

    seq: int
    uptime_ms: int
    mem_free_kb: int


Message = Ready | Record | Out | End | Answer | Beat


def request(verb: str, request_id: int, *arguments: str) -> bytes:
    """Return the line that asks the guest for *verb*.

    Raises:
        ValueError: the line would be longer than the guest takes.
    """
    encoded = (quote(argument.encode(), safe=_SAFE) for argument in arguments)
    line = " ".join((verb, str(request_id), *encoded)).encode()
    if len(line) > LINE_LIMIT:
        raise ValueError(f"a request of {len(line)} bytes; at most {LINE_LIMIT} fit into one")
    return line + b"\n"


def parse(line: bytes) -> Message | None:
    """Return the message that *line* is, None where it is none."""
    verb, _, rest = line.decode("ascii", "replace").partition(" ")
    reader = _READERS.get(verb)
    try:
        return reader(rest) if reader else None
    except (ValueError, KeyError):
        return None


def lines_of(record_text: str) -> list[str]:
    r"""Return the lines of a record's text, with what the kernel escaped as ``\xNN`` undone.

    The kernel escapes line breaks (KUnit prints several lines in one record), backslashes,
    control characters and all that is not ASCII. Control characters other than tabs stay
    escaped: they are for nobody's terminal.
    """
    return _ESCAPES.sub(_unescape, record_text).split("\n")


def _unescape(found: re.Match[str]) -> str:
    return visible(bytes.fromhex(found[0].replace("\\x", "")))


def ready_of(keys: Mapping[str, str]) -> Ready:
    """Return the guest's own description from an answer's keys.

    Raises:
        ValueError: a number is none, or it speaks another protocol.
        KeyError: no release is given.
    """
    if int(keys.get("proto", PROTOCOL)) != PROTOCOL:
        raise ValueError(f"the guest speaks protocol {keys['proto']}, not {PROTOCOL}")
    return Ready(
        release=keys["release"],
        mem_total_kb=_number(keys, "mem_total_kb"),
        mem_free_kb=_number(keys, "mem_free_kb"),
        cpus=_number(keys, "cpus"),
        uptime_ms=_number(keys, "uptime_ms"),
        spin_us=_number(keys, "spin_us"),
    )


def _number(keys: Mapping[str, str], name: str) -> int:
    """Return the number *name* of *keys*, or the nearest one from 0 to MAX_NUMBER."""
    return max(0, min(int(keys.get(name, 0)), MAX_NUMBER))


def _keys(rest: str) -> dict[str, str]:
    pairs = (token.partition("=") for token in rest.split(" ") if "=" in token)
    return {key: unquote(value, errors="backslashreplace") for key, _, value in pairs}


def _ready(rest: str) -> Ready:
    return ready_of(_keys(rest))


def _record(rest: str) -> Record | None:
    found = _KMSG.fullmatch(rest)
    return Record(int(found[1]), int(found[2]), found[3]) if found else None


def _out(rest: str) -> Out:
    number, _, text = rest.partition(" ")
    return Out(int(number), unquote(text, errors="backslashreplace"))


def _end(rest: str) -> End | None:
    number, _, result = rest.partition(" ")
    found = _END.fullmatch(result.partition(" ")[0])
    return End(int(number), found[1], int(found[2])) if found else None


def _ok(rest: str) -> Answer:
    number, _, keys = rest.partition(" ")
    return Answer(int(number), True, keys=_keys(keys))


def _err(rest: str) -> Answer:
    number, _, text = rest.partition(" ")
    return Answer(int(number), False, unquote(text, errors="backslashreplace"))


def _beat(rest: str) -> Beat:
    number, _, keys = rest.partition(" ")
    found = _keys(keys)
    return Beat(int(number), _number(found, "uptime_ms"), _number(found, "mem_free_kb"))


_READERS: dict[str, Callable[[str], Message | None]] = {
    "ready": _ready,
    "kmsg": _record,
    "out": _out,
    "end": _end,
    "ok": _ok,
    "err": _err,
    "beat": _beat,
}
