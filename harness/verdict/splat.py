# SPDX-License-Identifier: GPL-2.0-only
"""Splats, cut out of a kernel log.

A splat starts at a message that matches a rule from its first character on: a test's own
"# ..." lines, which may quote such text, start none. It ends where lines no longer look like
registers, stacks and dumps. Its title is one line, the same on every boot and, as far as the
kernel's wording allows, on every architecture.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.model.results import Splat
from harness.model.values import SplatKind
from harness.verdict.klog import LogLine
from harness.verdict.splat_rules import (
    AFTERMATH,
    BODY,
    BOUNDARY,
    CUT_HERE,
    END,
    FUNCTION,
    PATIENCE,
    RULES,
    SUSPECT,
    Rule,
)
from harness.verdict.symbols import plain_name

# What a hostile or endless log may cost.
MAX_SPLATS = 200  # of one kind
MAX_SCAN = 4000  # lines looked at for the end of one splat
MAX_TEXT = 200  # lines kept of one splat: the first, and the last quarter
MAX_LINE = 1000
MAX_TITLE = 160
MAX_APART = 100  # lines between a splat and the panic that it led to


@dataclass(frozen=True)
class _Start:
    index: int  # of the line in the log
    rule: Rule
    found: re.Match[str]


@dataclass
class _Found:
    """A splat while its end may still move."""

    start: _Start
    first: int  # index of its first line: "cut here" stands above the start
    end: int  # index after its last line


def find_splats(log: Sequence[LogLine]) -> tuple[Splat, ...]:
    """Return every splat in *log*, in order; never raises.

    A panic that a splat led to (oops=panic and its like) is part of that splat. ``Splat.line``
    is the record of its first line.
    """
    starts = {start.index: start for start in _starts(log)}
    found: list[_Found] = []
    counts: Counter[SplatKind] = Counter()
    reached = 0
    for index, start in starts.items():
        if index < reached:
            continue
        splat = _Found(start, _first(log, index, reached), _end(log, start, starts))
        reached = splat.end
        before = found[-1] if found else None
        if before is not None and index - before.end < MAX_APART and _led_to(before, start):
            before.end = splat.end
        elif counts[start.rule.kind] < MAX_SPLATS:
            counts[start.rule.kind] += 1
            found.append(splat)
    return tuple(_finished(splat, log) for splat in found)


def is_death(splat: Splat) -> bool:
    """Return whether *splat* is a panic or an oops: guests boot with oops=panic."""
    if splat.kind in (SplatKind.PANIC, SplatKind.OOPS):
        return True
    return "Kernel panic - not syncing" in splat.text or splat.title.startswith("kernel BUG")


def unexpected(splats: Iterable[Splat], tolerated: Collection[SplatKind]) -> list[Splat]:
    """Return those of *splats* that are not ordinary where the kinds *tolerated* are.

    A death never is.
    """
    return [splat for splat in splats if splat.kind not in tolerated or is_death(splat)]


def _starts(log: Sequence[LogLine]) -> Iterable[_Start]:
    for index, line in enumerate(log):
        if line.quoted or not SUSPECT.search(line.text):
            continue
        for rule in RULES:
            found = rule.start.match(line.text)
            if found:
                yield _Start(index, rule, found)
                break


def _first(log: Sequence[LogLine], index: int, reached: int) -> int:
    """Return the index of the "cut here" line that belongs to the start at *index*, or *index*."""
    for above in range(index - 1, max(reached, index - 4) - 1, -1):
        if CUT_HERE.match(log[above].text):
            return above
    return index


def _end(log: Sequence[LogLine], start: _Start, starts: dict[int, _Start]) -> int:
    """Return the index after the last line of the splat that begins at *start*."""
    rule = start.rule
    last = start.index
    header = start  # the latest line in this splat that could have started one
    for index in range(start.index, min(len(log), start.index + MAX_SCAN)):
        text = log[index].text
        if index > start.index:
            if index in starts:
                if not _continues(header, starts[index]):
                    break
                header = starts[index]
            elif log[index].quoted or BOUNDARY.match(text):
                break
            if index in starts or BODY.match(text):
                last = index
            elif text and index - last > PATIENCE.get(rule.kind, PATIENCE[None]):
                break
        if (rule.until or END).match(text) or rule.one_line:
            return index + 1
    return last + 1


def _continues(header: _Start, start: _Start) -> bool:
    """Does a line that could start a splat belong to the one that *header* stands in?"""
    kind, next_kind = header.rule.kind, start.rule.kind
    if start.rule.dies and kind in (SplatKind.OOPS, SplatKind.BUG):
        return not header.rule.dies  # a crash has one line "Oops: 0002 [#1]"
    if kind is SplatKind.RCU_STALL:
        return next_kind is kind and start.rule.follows
    return kind is SplatKind.OOM_KILL and next_kind is kind and start.rule.follows


def _led_to(before: _Found, panic: _Start) -> bool:
    """Is *panic* a consequence of the splat *before*?"""
    if panic.rule.kind is not SplatKind.PANIC:
        return False
    kind = before.start.rule.kind
    return any(kind in kinds and words.search(panic.found.string) for words, kinds in AFTERMATH)


# ---------------------------------------------------------------- titles


def _finished(splat: _Found, log: Sequence[LogLine]) -> Splat:
    lines = [log[index].text[:MAX_LINE] for index in range(splat.first, splat.end)]
    return Splat(
        kind=splat.start.rule.kind,
        title=_title(splat.start, lines[splat.start.index - splat.first :]),
        text="\n".join(_shortened(lines)),
        line=log[splat.first].record,
    )


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MAX_TEXT:
        return lines
    tail = MAX_TEXT // 4
    head = MAX_TEXT - tail
    return [*lines[:head], f"[... {len(lines) - MAX_TEXT} lines ...]", *lines[-tail:]]


def _title(start: _Start, body: Sequence[str]) -> str:
    rule = start.rule
    words = {key: _without_ids(value or "") for key, value in start.found.groupdict().items()}
    for later in rule.later:
        word = next((f[1] for f in map(later.pattern.search, body) if f), later.absent)
        words[later.key] = _without_ids(word)
    title = rule.title.format_map(words)
    if rule.where and (function := words.get("function") or _function(body)):
        title += f" in {plain_name(function)}"
    if file := words.get("file"):
        # A module from outside the tree is named by where it happened to be built.
        title += f" ({file.rpartition('/')[2] if file.startswith('/') else file})"
    return re.sub(r"\s+", " ", title).strip(" :,")[:MAX_TITLE]


def _function(body: Sequence[str]) -> str:
    """Return the function that the processor was in; "" if unknown."""
    for text in body:
        found = FUNCTION.match(text)
        if found:
            return next(name for name in found.groups() if name)
    return ""


def _without_ids(words: str) -> str:
    """Remove what differs from boot to boot: addresses, process numbers, worker names."""
    words = re.sub(r"\bkworker/\S+", "kworker", words)
    words = re.sub(r"(?:0x)?\b(?=[0-9a-f]*\d)[0-9a-f]{9,16}\b", "", words)
    words = re.sub(r"\(_+ptrval_+\)|\b(?:pfn|mm|pid|val|PID):\s?\S*|\bCPU#\d+", "", words)
    return re.sub(r"(?<=[A-Za-z])/\d+\b", "", words).strip()
