# SPDX-License-Identifier: GPL-2.0-only
"""Splats, cut out of a kernel log.

A splat starts at a message that matches a rule from its first character on: a test's own
"# ..." lines, which may quote such text, start none. It ends where lines no longer look like
registers, stacks and dumps. Its title is one line, the same on every boot and, as far as the
kernel's wording allows, on every architecture.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from harness.model.results import Splat
from harness.model.symbols import plain_name
from harness.model.values import SplatKind
from harness.verdict.crash_function import crash_function
from harness.verdict.klog import LogLine
from harness.verdict.splat_rules import (
    AFTERMATH,
    ASKED,
    BODY,
    BOUNDARY,
    CRASHING,
    CUT,
    CUT_HERE,
    END,
    FRAME,
    HEADLESS,
    INSIDE,
    LANDMARK,
    OTHERS,
    OWN_CAUSE,
    PATIENCE,
    QUOTED,
    REPORTERS,
    RULES,
    SEVERAL,
    SUSPECT,
    TOLERABLE,
    TRAILER,
    Rule,
)

# What a hostile or endless log may cost.
MAX_SPLATS = 200  # of one kind
MAX_SCAN = 4000  # lines of one splat
MAX_TEXT = 200  # lines kept of one splat: the first, and the last quarter
MAX_LINE = 1000
MAX_TITLE = 160
MAX_WORDS = 400  # of a title, before addresses and the like are taken out
MAX_OPEN = 8  # splats of one caller that may still go on
MAX_APART = 100  # lines between a splat and the panic that it led to
MAX_FOREIGN = 150  # lines of others between two lines that can only be of the same splat
MAX_TOLERABLE = 60  # the same, where an unknown complaint that is taken for it would be tolerated
MAX_ORDINARY = 16  # lines between two of a dump that is no complaint
MAX_ABOVE = 3  # lines above a dump without a head, in which its head is looked for


def find_splats(log: Sequence[LogLine]) -> tuple[Splat, ...]:
    """Return every splat in *log*, in order; never raises.

    A panic that a splat led to (oops=panic and its like) is part of that splat. ``Splat.line``
    is the record of its first line.
    """
    reader = _Reader(log)
    for index in range(len(log)):
        reader.read(index)
    return tuple(_finished(one, log) for one in sorted(reader.found, key=lambda one: one.lines[0]))


def unexpected(splats: Iterable[Splat], tolerated: Collection[SplatKind]) -> list[Splat]:
    """Return those of *splats* that are not ordinary where the kinds *tolerated* are.

    A death never is.
    """
    return [splat for splat in splats if splat.kind not in tolerated or is_death(splat)]


def is_death(splat: Splat) -> bool:
    """Return whether *splat* is a panic or an oops: guests boot with oops=panic."""
    return splat.died or splat.kind in (SplatKind.PANIC, SplatKind.OOPS)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class _Start:
    index: int  # of the line in the log
    rule: Rule
    found: re.Match[str]


@dataclass
class _Found:
    """A splat while more of it may come."""

    start: _Start
    header: _Start  # the latest line in it that could have started one
    caller: str
    lines: list[int]  # indices in the log, in order
    gaps: dict[int, int] = field(default_factory=dict)  # place in `lines`: lines of others there
    seen: set[str] = field(default_factory=set)  # landmarks
    died: bool = False
    kept: bool = False

    def add_header(self, start: _Start) -> None:
        self.header = start
        self.seen.clear()
        rule = start.rule
        self.died |= rule.fatal or rule.kind in (SplatKind.PANIC, SplatKind.OOPS)


@dataclass
class _Seat:
    """A splat as one caller goes on with it."""

    splat: _Found
    last: int  # number of the caller's latest line in it
    pending: list[int] = field(default_factory=list)  # lines since, perhaps of others
    cut: bool = False  # only what can be of no other splat goes on with it
    ended: bool = False

    @property
    def reach(self) -> int:
        """Distance of the farthest line that may go on with it."""
        rule = self.splat.header.rule
        if rule.ordinary:
            return MAX_ORDINARY
        return 1 + (MAX_TOLERABLE if rule.kind in TOLERABLE else MAX_FOREIGN)


@dataclass
class _Stream:
    """Lines of one caller, or all of a log that names none."""

    count: int = 0
    seats: list[_Seat] = field(default_factory=list)  # the one that went on last at the end
    above: deque[tuple[int, bool]] = field(  # latest lines: index, whether no splat has it
        default_factory=lambda: deque(maxlen=MAX_ABOVE)
    )


class _Reader:
    """Gives each line of a log to the splat that it belongs to."""

    def __init__(self, log: Sequence[LogLine]) -> None:
        self.log = log
        self.found: list[_Found] = []
        self._counts: Counter[SplatKind] = Counter()
        self._streams: dict[str, _Stream] = {}
        self._caller = ""
        self._latest: _Seat | None = None  # of all callers
        self._latest_index = 0
        self._asked = False  # for a dump of all tasks

    def read(self, index: int) -> None:
        line = self.log[index]
        self._caller = line.caller or self._caller
        stream = self._streams.setdefault(self._caller, _Stream())
        stream.count += 1
        free = not self._placed(stream, index, line)
        stream.above.append((index, free))

    def _placed(self, stream: _Stream, index: int, line: LogLine) -> bool:
        """Give the line to a splat, a new one perhaps; return whether one has taken it."""
        text = line.text
        if line.quoted or QUOTED.match(text):
            return _interrupt(stream)
        if found := CUT_HERE.match(text):
            self._open(stream, _Start(index, CUT, found))
            return True
        start = _start(index, text)
        if start is not None:
            within = start.rule.prelude or start.rule.ordinary
            if (within or start.rule.kind is SplatKind.UNCLASSIFIED) and self._goes_on(
                stream, index, text
            ):
                return True
            self._begin(stream, start)
            return True
        if BOUNDARY.match(text):
            return _interrupt(stream)
        if self._goes_on(stream, index, text):
            return True
        mark = LANDMARK.match(text)
        if mark is not None and mark.lastgroup != "memory":
            self._headless(stream, index, mark)
            return True
        for seat in stream.seats:
            _passes_by(seat, index, text, stream.count)
        return False

    # ------------------------------------------------------------ starts

    def _begin(self, stream: _Stream, start: _Start) -> None:
        rule = start.rule
        self._asked |= rule is ASKED
        for seat in reversed(stream.seats):
            if _continues(seat, start, stream.count):
                self._feed(stream, seat, start.index, header=start)
                return
        if rule.kind is SplatKind.PANIC:
            # What the same caller said comes first.
            latest = sorted(self.found[-MAX_OPEN:], key=lambda one: one.caller == self._caller)
            led = next((one for one in reversed(latest) if _led_to(one, start)), None)
            if led is not None:
                if between := start.index - led.lines[-1] - 1:
                    led.gaps[len(led.lines)] = between
                stream.seats = [seat for seat in stream.seats if seat.splat is not led]
                self._feed(stream, self._sit(stream, led), start.index, header=start)
                return
        self._open(stream, start)

    def _open(self, stream: _Stream, start: _Start, above: Sequence[int] = ()) -> None:
        rule = start.rule
        lines = [*above, start.index]
        gaps: dict[int, int] = {}
        seats = self._near(stream)
        if seats and not seats[-1].ended and _is_prelude(seats[-1].splat, start):
            top = stream.seats.pop()
            self._forget(top.splat)
            lines, gaps = [*top.splat.lines, *top.pending], top.splat.gaps
            if top.cut and stream.count - top.last > 1:
                gaps[len(lines)] = stream.count - top.last - 1
            lines.append(start.index)
        splat = _Found(start, start, self._caller, lines, gaps)
        splat.add_header(start)
        self._keep(splat, rule.kind)
        if not rule.one_line:
            _interrupt(stream)
            self._sit(stream, splat)

    def _keep(self, splat: _Found, kind: SplatKind) -> None:
        """Let *splat* be found, unless it is one of too many of *kind*."""
        if not splat.start.rule.ordinary and self._counts[kind] < MAX_SPLATS:
            self._counts[kind] += 1
            self.found.append(splat)
            splat.kept = True

    def _forget(self, splat: _Found) -> None:
        """Let *splat*, a prelude, be part of another."""
        if splat.kept:
            self._counts[splat.start.rule.kind] -= 1
            self.found = [one for one in self.found if one is not splat]

    def _headless(self, stream: _Stream, index: int, mark: re.Match[str]) -> None:
        """Begin a splat at a dump that no splat has; what asked for it is no complaint."""
        if mark.lastgroup == "other" and self._latest is not None:
            several = self._latest.splat.start.rule
            near = index - self._latest_index <= MAX_FOREIGN
            if near and (several.kind in SEVERAL or several.ordinary):
                # Another processor, told to dump its stack.
                self._feed(stream, self._sit(stream, self._latest.splat), index)
                return
        asked = mark.lastgroup == "task" and self._asked
        rule = ASKED if asked else HEADLESS
        above: list[int] = []
        for before, free in reversed(stream.above):
            text = self.log[before].text
            if not free or BOUNDARY.match(text) or self.log[before].quoted or asked:
                break
            above.insert(0, before)
            if text and not BODY.match(text):
                break
        else:
            above = []
        if above and BODY.match(self.log[above[0]].text or " -"):
            above = []
        self._open(stream, _Start(index, rule, mark), above)
        stream.seats[-1].splat.seen.add(mark.lastgroup or "")

    def _sit(self, stream: _Stream, splat: _Found) -> _Seat:
        seat = _Seat(splat, stream.count)
        stream.seats = [*stream.seats[-MAX_OPEN + 1 :], seat]
        self._latest, self._latest_index = seat, splat.lines[-1]
        return seat

    # ------------------------------------------------------------ what follows

    def _goes_on(self, stream: _Stream, index: int, text: str) -> bool:
        """Give a line that starts nothing to the splat that it goes on with, if there is one."""
        if not self._near(stream):
            return False
        top = stream.seats[-1]
        if top.ended and TRAILER.match(text):
            self._feed(stream, top, index)
            return True
        live = [seat for seat in reversed(stream.seats) if not seat.ended]
        mark = LANDMARK.match(text)
        name = (mark.lastgroup or "") if mark else ""
        if live and (live[0].splat.header.rule.until or END).match(text):
            self._feed(stream, live[0], index)
            live[0].ended = True
            live[0].splat.died |= "end Kernel panic" in text
            return True
        for seat in live:
            if _takes(seat, name, text, seat is live[0]):
                if name in ("task", "other"):
                    seat.splat.seen.clear()
                self._feed(stream, seat, index)
                seat.splat.seen.add(name)
                seat.splat.seen.discard("")
                return True
        return False

    @staticmethod
    def _near(stream: _Stream) -> list[_Seat]:
        """Return the seats of *stream* that may still go on, and forget the others."""
        stream.seats = [seat for seat in stream.seats if stream.count - seat.last <= seat.reach]
        return stream.seats

    def _feed(self, stream: _Stream, seat: _Seat, index: int, header: _Start | None = None) -> None:
        splat = seat.splat
        if len(splat.lines) < MAX_SCAN or header is not None:
            if not seat.cut:
                splat.lines += seat.pending
            elif stream.count - seat.last > 1:
                splat.gaps[len(splat.lines)] = stream.count - seat.last - 1
            splat.lines.append(index)
        seat.last, seat.cut = stream.count, False
        seat.pending.clear()
        if header is not None:
            splat.add_header(header)
            seat.ended = header.rule.one_line
            if splat.died and not splat.kept:  # a death is found, were there ever so many before
                self._keep(splat, SplatKind.PANIC)
        stream.seats = [*(other for other in stream.seats if other is not seat), seat]
        self._latest, self._latest_index = seat, index


def _start(index: int, text: str) -> _Start | None:
    if SUSPECT.search(text):
        for rule in RULES:
            found = rule.start.match(text)
            if found:
                return _Start(index, rule, found)
    return None


def _interrupt(stream: _Stream) -> bool:
    """What a test says is never inside a splat, and may stand amid its lines."""
    for seat in stream.seats:
        seat.cut = True
        seat.pending.clear()
    return False


def _passes_by(seat: _Seat, index: int, text: str, count: int) -> None:
    """Note a line that *seat*'s splat has not taken."""
    if seat.ended or seat.cut:
        return
    kind = seat.splat.header.rule.kind
    if text and count - seat.last > PATIENCE.get(kind, PATIENCE[None]):
        seat.cut = True
        seat.pending.clear()
    else:
        seat.pending.append(index)


def _takes(seat: _Seat, landmark: str, text: str, top: bool) -> bool:
    """Is a line that starts nothing one of *seat*'s splat?"""
    splat = seat.splat
    rule = splat.header.rule
    if rule is CUT and len(splat.lines) == 1 and not seat.pending and not seat.cut:
        return bool(text)  # what it says
    if rule.ordinary:
        if landmark:
            new = landmark in ("task", "other") or landmark not in splat.seen
            if rule.traces:
                return top and new
            # A program's registers stand right behind their head, and no stack of the kernel's.
            apart = not splat.seen and (seat.pending or seat.cut)
            return top and new and not apart and landmark != "trace"
    elif landmark and not rule.dumps:
        return False
    elif landmark in ("task", "other"):
        return rule.kind in SEVERAL or (top and not seat.cut)
    elif landmark:
        return rule.kind in SEVERAL or landmark not in splat.seen
    elif FRAME.match(text):
        return top and (bool(splat.seen) or not seat.cut or rule.kind is SplatKind.LEAK)
    elif CRASHING.match(text):
        return rule.crash or (top and not seat.cut and rule.kind is SplatKind.OOPS)
    return top and bool((BODY if not seat.cut else INSIDE).match(text))


def _is_prelude(splat: _Found, start: _Start) -> bool:
    """Does *splat* say why the one that begins at *start* came to be?"""
    before, rule = splat.start.rule, start.rule
    if not before.prelude or "trace" in splat.seen or rule.kind in TOLERABLE or rule.ordinary:
        return False
    # A page is dumped above "cut here"; a report of unknown words goes on with its dump.
    return before is not CUT if rule is CUT else rule is not HEADLESS


def _continues(seat: _Seat, start: _Start, count: int) -> bool:
    """Does a line that could start a splat belong to the one in *seat*?"""
    if count - seat.last > seat.reach:
        return False
    header, rule = seat.splat.header.rule, start.rule
    if rule.dies:
        return header.crash and not seat.ended
    text = start.found.string
    if text.startswith("Kernel panic - ") and not (seat.ended or seat.cut):
        wrong = header.kind not in TOLERABLE and header.kind is not SplatKind.LEAK
        near = count - seat.last <= 2 and not header.ordinary and not header.prelude
        return near and wrong and not OWN_CAUSE.search(text)
    return rule.follows and header.kind is rule.kind and not seat.ended


def _led_to(before: _Found, panic: _Start) -> bool:
    """Is *panic* a consequence of the splat *before*?"""
    if panic.index - before.lines[-1] > MAX_APART:
        return False
    kind = before.start.rule.kind
    words = panic.found.string
    return any(kind in kinds and pattern.search(words) for pattern, kinds in AFTERMATH)


# ---------------------------------------------------------------- titles


def _finished(one: _Found, log: Sequence[LogLine]) -> Splat:
    rule, kind, title = one.start.rule, one.start.rule.kind, ""
    body = [log[index].text[:MAX_LINE] for index in one.lines]
    if rule is HEADLESS:
        for pattern, reporters_kind, words in REPORTERS:
            if any(map(pattern.match, body)):
                kind, title = reporters_kind, f"{words}, its head is lost"
    lines = list[str]()
    for place, text in enumerate(body):
        if place in one.gaps:
            lines.append(f"[... {one.gaps[place]} lines of others ...]")
        lines.append(text)
    return Splat(
        kind=kind,
        title=title or _title(one.start, body[one.lines.index(one.start.index) :], body),
        text="\n".join(_shortened(lines)),
        line=log[one.lines[0]].record,
        died=one.died,
    )


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MAX_TEXT:
        return lines
    tail = MAX_TEXT // 4
    head = MAX_TEXT - tail
    left_out = lines[head:-tail]
    # What the kernel died of stays.
    ends = [text for text in left_out if text.startswith("Kernel panic - not syncing")][:1]
    marker = f"[... {len(left_out)} lines ...]"
    return [*lines[:head], marker, *ends, *lines[-tail + len(ends) :]]


def _title(start: _Start, body: Sequence[str], whole: Sequence[str]) -> str:
    """Return the title of a splat with the lines *whole*, those from its start on *body*."""
    rule = start.rule
    words = {key: (value or "")[:MAX_WORDS] for key, value in start.found.groupdict().items()}
    if rule is HEADLESS:
        words["text"] = whole[0][:MAX_WORDS] if len(whole) > len(body) else "a stack dump"
    elif rule is CUT:
        said = (text for text in body[1:] if not (BODY.match(text) or LANDMARK.match(text)))
        words["text"] = next(filter(None, said), "a report without a head")[:MAX_WORDS]
    for later in rule.later:
        word = next(
            (f[f.lastindex or 0] for f in map(later.pattern.search, body) if f), later.absent
        )
        words[later.key] = word[:MAX_WORDS]
    for key, word in words.items():
        words[key] = _without_numbers(word) if key == "text" else _without_ids(word)
        if key in ("one", "two"):
            words[key] = plain_name(words[key])
        elif key in ("comm", "victim"):
            words[key] = words[key].strip() or "a nameless task"
    title = rule.title.format_map(words)
    if rule.where:
        interrupted = rule.kind in (SplatKind.RCU_STALL, SplatKind.LOCKUP)
        if rule.kind is SplatKind.HUNG_TASK:  # what others do comes behind its own stack
            body = list(takewhile(lambda text: not OTHERS.match(text), body))
        function = crash_function(body, words.get("function", ""), interrupted=interrupted)
        if function and not re.search(rf"(?<!\w){re.escape(function)}(?!\w)", title):
            title += f" in {function}"
    if file := words.get("file"):
        # A module from outside the tree is named by where it happened to be built.
        title += f" ({file.rpartition('/')[2] if file.startswith('/') else file})"
    title = re.sub(r"\s+(?:in|at|on)$", "", re.sub(r"\s+", " ", title).strip(" :,/"))
    return title[:MAX_TITLE]


def _without_ids(words: str) -> str:
    """Remove what differs from boot to boot: addresses, process numbers, worker names."""
    words = re.sub(r"\bkworker/\S+", "kworker", words)
    words = re.sub(r"([\w.$])\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[[\w -]+\])?", r"\1", words)
    words = re.sub(r"(?:0x)?\b(?=[0-9a-f]*\d)[0-9a-f]{9,16}\b|(?<![\w=])0x[0-9a-f]+\b", "", words)
    words = re.sub(r"\(_+ptrval_+\)|\bmm:\S+", "", words)
    words = re.sub(r"\b(?:pfn|pid|val|PID|p[gum4]d|pte|addr):\s?\S*", "", words)
    words = re.sub(r"\b(?:on )?(?:CPU|cpu) ?#?\d+\b(?:, \S+/\d+)?", "", words)
    return re.sub(r"(?<=[A-Za-z])/\d+\b", "", words).strip()


def _without_numbers(words: str) -> str:
    """Return prose of the kernel without what may differ from run to run: names and numbers."""
    words = re.sub(r"\bin process .*|[:,] \S+/\d+(?:/\S*)?$", "", words)
    words = re.sub(r"([\w.$])\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?", r"\1", words)
    words = re.sub(r"(?<!\w)(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)[0-9a-f]{8,16})\b", "N", words)
    words = re.sub(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])", "N", _without_ids(words))
    return words.replace(":N", "")
