# SPDX-License-Identifier: GPL-2.0-only
"""Kconfig fragments: merged in order, never in contradiction, and checked against the outcome.

Text in, values out; only :func:`topic_files` and :func:`read_fragments` look at files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.model.errors import UserError
from harness.model.jsonio import suggest

# Every kernel has these; the architecture's own fragment comes second.
DEFAULT_TOPICS = ("base", "kunit", "fault-injection", "trace", "swap-zram")
_SET = re.compile(r"^CONFIG_(?P<symbol>\w+)=(?P<value>.*)$")
_UNSET = re.compile(r"^#\s*CONFIG_(?P<symbol>\w+) is not set\s*$")
_MAY_DROP = re.compile(
    r"^#[ \t]*CONFIG_(?P<symbol>\w+) may be dropped without CONFIG_(?P<without>\w+)$", re.M
)
_TAKES = re.compile(r"^#[ \t]*Takes (?P<mib>\d{1,5}) MiB of a guest's RAM\b", re.M)
_MAKE = re.compile(r"^#[ \t]*make: (?P<variable>[A-Z][\w.-]*=\S*)$", re.M)
_STRING = re.compile(r'^"(?:[^"\\]|\\.)*"$')
_NUMBER = re.compile(r"^(?:-?\d+|0[xX][0-9a-fA-F]+)$")


@dataclass(frozen=True)
class Fragment:
    """Settings of one ``<topic>.config``: values by symbol, both without ``CONFIG_``.

    A value is as .config writes it: y, m, n, a number, or a string with its quotes.
    """

    topic: str
    values: Mapping[str, str]
    # Symbols (of any fragment) that Kconfig may drop, and the symbol of the architecture without
    # which it may: a kernel's own Kconfig tells what it lacks, not a list of versions.
    may_drop: Mapping[str, str] = field(default_factory=dict)
    make: tuple[str, ...] = ()  # variables for make, where no symbol has the effect: "X=n"
    takes_mib: int = 0  # of a guest's RAM, in MiB


@dataclass(frozen=True)
class Asked:
    """One symbol of a merged configuration."""

    symbol: str
    value: str
    topic: str  # the first fragment that asks for it
    may_drop_without: tuple[str, ...] = ()  # symbols: where one is off, it may be dropped

    @property
    def line(self) -> str:
        """The symbol as a line of .config."""
        if self.value == "n":
            return f"# CONFIG_{self.symbol} is not set"
        return f"CONFIG_{self.symbol}={self.value}"


@dataclass(frozen=True)
class Dropped:
    """A symbol whose value in the final .config is not the one asked for."""

    asked: Asked
    got: str  # "n" where the symbol is absent


def parse_fragment(topic: str, text: str) -> Fragment:
    """Read the text of a fragment: settings, comments, and comments that mean something.

    Raises:
        UserError: a line that is neither a setting nor a comment, or a symbol set twice.
    """
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        unset, assigned = _UNSET.match(line), _SET.match(line)
        if not line or (line.startswith("#") and not unset):
            continue
        where = f"{topic}.config:{number}"
        if unset:
            symbol, value = unset["symbol"], "n"
        elif assigned and _is_value(assigned["value"]):
            symbol, value = assigned["symbol"], assigned["value"]
        else:
            raise UserError(
                f"{where}: not a setting: {line}",
                hint='write CONFIG_X=y, CONFIG_X=m, CONFIG_X=5, CONFIG_X="text" or '
                "# CONFIG_X is not set",
            )
        if values.get(symbol, value) != value:
            raise UserError(
                f"{where}: CONFIG_{symbol} is set to {values[symbol]} and to {value}",
                hint="keep one of the two lines",
            )
        values[symbol] = value
    lines = "\n".join(line.strip() for line in text.splitlines())
    return Fragment(
        topic,
        values,
        may_drop={found["symbol"]: found["without"] for found in _MAY_DROP.finditer(lines)},
        make=tuple(found["variable"] for found in _MAKE.finditer(lines)),
        takes_mib=sum(int(found["mib"]) for found in _TAKES.finditer(lines)),
    )


def _is_value(text: str) -> bool:
    return text in ("y", "m", "n") or bool(_STRING.match(text) or _NUMBER.match(text))


def merge(fragments: Iterable[Fragment]) -> tuple[Asked, ...]:
    """Merge *fragments*, sorted by symbol: neither order nor comments change the outcome.

    Raises:
        UserError: two fragments contradict each other; names both, the symbol and its values.
    """
    asked: dict[str, Asked] = {}
    fragments = tuple(fragments)
    for fragment in fragments:
        for symbol, value in fragment.values.items():
            before = asked.setdefault(symbol, Asked(symbol, value, fragment.topic))
            if not same_value(before.value, value):
                raise UserError(
                    f"{before.topic}.config and {fragment.topic}.config contradict each other: "
                    f"CONFIG_{symbol} is {before.value} and {value}",
                    hint="take one of the two fragments out, or make them agree",
                )
    for fragment in fragments:
        for symbol, without in fragment.may_drop.items():
            if item := asked.get(symbol):
                known = (*item.may_drop_without, without)
                asked[symbol] = replace(item, may_drop_without=tuple(dict.fromkeys(known)))
    return tuple(asked[symbol] for symbol in sorted(asked))


def make_variables(fragments: Iterable[Fragment]) -> tuple[str, ...]:
    """Return the variables that *fragments* want make to be given, sorted."""
    return tuple(sorted({variable for fragment in fragments for variable in fragment.make}))


def merged_text(asked: Sequence[Asked]) -> str:
    """Return *asked* as lines that can be appended to a .config."""
    return "".join(f"{item.line}\n" for item in asked)


def laid_over(config: str, asked: Sequence[Asked]) -> str:
    """Return the text of *config*, a .config, with what is *asked* instead of its own values."""
    names = {item.symbol for item in asked}
    kept = (line for line in config.splitlines() if _symbol_of(line) not in names)
    return "".join(f"{line}\n" for line in kept) + merged_text(asked)


def _symbol_of(line: str) -> str:
    match = _SET.match(line) or _UNSET.match(line)
    return match["symbol"] if match else ""


def digest(asked: Sequence[Asked]) -> str:
    """Return the digest of a merged configuration, hex."""
    return hashlib.sha256(merged_text(asked).encode()).hexdigest()


def parse_config(text: str) -> dict[str, str]:
    """Return the symbols that a .config sets, without ``CONFIG_``; those not set are left out."""
    found = (_SET.match(line) for line in text.splitlines())
    return {match["symbol"]: match["value"] for match in found if match}


def dropped(asked: Sequence[Asked], final: Mapping[str, str]) -> tuple[Dropped, ...]:
    """Return what *final*, a parsed .config, does not grant of *asked* and may not drop."""
    granted = ((item, final.get(item.symbol, "n")) for item in asked)
    return tuple(
        Dropped(item, got)
        for item, got in granted
        if not same_value(item.value, got)
        and all(final.get(symbol, "n") != "n" for symbol in item.may_drop_without)
    )


def same_value(one: str, other: str) -> bool:
    """Say whether two values mean the same: 0x10 is 16."""
    if one == other:
        return True
    if _NUMBER.match(one) and _NUMBER.match(other):
        return int(one, 0 if one[:2] in ("0x", "0X") else 10) == int(
            other, 0 if other[:2] in ("0x", "0X") else 10
        )
    return False


# ---------------------------------------------------------------- files


def topic_files(folder: Path, arch: str, extra: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the fragments of a kernel, in order: base, the architecture's own, the others.

    Raises:
        UserError: *folder* has no such topic.
    """
    return tuple(_topic_file(folder, topic) for topic in topics_of(arch, extra))


def topics_of(arch: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the topics of a kernel, in order."""
    topics = (DEFAULT_TOPICS[0], arch, *DEFAULT_TOPICS[1:], *extra)
    return tuple(dict.fromkeys(topics))


def _topic_file(folder: Path, topic: str) -> Path:
    file = folder / f"{topic}.config"
    if not file.is_file():
        there = [file.stem for file in folder.glob("*.config")]
        raise UserError(f"unknown config topic '{topic}'", hint=suggest(topic, there))
    return file


def read_fragments(files: Iterable[Path]) -> tuple[Fragment, ...]:
    """Read fragments; a topic is its file's name.

    Raises:
        UserError: a fragment is missing or malformed.
    """
    found = []
    for file in files:
        try:
            found.append(parse_fragment(file.stem, file.read_text()))
        except OSError as error:
            raise UserError(f"no fragment {file}") from error
    return tuple(found)
