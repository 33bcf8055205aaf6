# SPDX-License-Identifier: GPL-2.0-only
"""KTAP, read from a kernel log into a tree.

Accepts KTAP 1 and TAP 13 and 14, KUnit of 5.10 (four spaces, ``ok 1 - name``) to the newest
(nested version lines, parameters as subtests), messages in between, cut or lost lines, and a log
that ends early because the kernel died. A test without a result is ERROR.

Indentation alone tells the level; the result line that closes a subtest stands one level further
out and comes after the subtest's own lines. A log may be indented as a whole. As for KUnit's own
parser, a test whose subtests failed is no PASS, nor is one that announced subtests and ran none.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.model.results import CaseResult
from harness.model.values import Verdict
from harness.verdict.klog import LogLine

# What a hostile or broken log may cost.
MAX_DEPTH = 8
MAX_RESULTS = 20_000
MAX_DIAGNOSTICS = 200  # lines kept per case: the first and the last of them
MAX_NAME = 200
MAX_PROBLEMS = 50
_FAILED = (Verdict.FAIL, Verdict.ERROR)
ALL = "(all)"  # name of what stands for all tests, where "1..0 # SKIP" says that none ran
_VERSION = re.compile(r"(?P<form>K?TAP) version \d+$")
_SUBTEST = re.compile(r"# Subtest: *(?P<name>.*)$")
_PLAN = re.compile(r"(?P<first>[01])\.\.(?P<last>\d{1,6})(?:\s*#\s*(?P<remark>.*))?$")
_RESULT = re.compile(
    r"(?P<word>ok|not ok)(?:\s+(?P<number>\d{1,9})(?:\s+-)?|\s+-)(?:\s+(?P<rest>.*))?$"
)
_UNNUMBERED = re.compile(r"(?P<word>ok|not ok)(?:\s+(?P<rest>.*))?$")  # TAP allows it, KTAP not
# KTAP has directives in capitals; for a skip, other emitters of TAP have not.
_SKIP = r"(?P<skip>SKIP\w*|[Ss]kip(?:ped)?(?![\w-]))"
_DIRECTIVE = re.compile(rf"(?:^|\s)#\s*(?:{_SKIP}|(?P<word>TODO|XFAIL|TIMEOUT|ERROR)(?![\w-]))")
_SKIPS_ALL = re.compile(_SKIP)
_ESCAPED = re.compile(r"\\([\\#])")
_BAIL_OUT = re.compile(r"Bail out!\s*(?P<reason>.*)$")
_SPEAKER = re.compile(r"\s*# (?P<name>\w+)(?:\.\w+)?: ")  # KUnit: "# case_name: what it says"


@dataclass(frozen=True)
class KtapTest:
    """A suite, a case, or a parameter of a case: one result line with what belongs to it."""

    name: str
    number: int  # as printed; 0 where none was
    verdict: Verdict  # ERROR where there is no result
    finished: bool = True  # its result line is there
    directive: str = ""  # SKIP, TODO, XFAIL, TIMEOUT, ERROR, or nothing
    remark: str = ""  # what followed the directive
    diagnostics: tuple[str, ...] = ()  # lines before its result that are nobody else's
    planned: int | None = None  # subtests it announced
    tests: tuple[KtapTest, ...] = ()  # subtests
    ended: int = 0  # 1-based record of the log with its result line; 0: none

    @property
    def missing(self) -> int:
        """Number of tests, here and below, that were planned or are left out of the count."""
        below = sum(test.missing for test in self.tests)
        if self.verdict is Verdict.SKIP and not self.tests:
            return below
        done = [test for test in self.tests if test.finished]
        # Without a plan (parameters, before KUnit counted them) the numbers still show gaps.
        due = max((t.number for t in done), default=0) if self.planned is None else self.planned
        numbers = {test.number for test in done if 1 <= test.number <= due}
        numbered = all(test.number for test in done)
        return below + max(0, due - (len(numbers) if numbered else len(done)))

    @property
    def complete(self) -> bool:
        """Is every result that was announced, here and below, really there?"""
        return self.finished and not self.missing and all(test.complete for test in self.tests)


@dataclass(frozen=True)
class KtapResult:
    """The KTAP of a log."""

    tests: tuple[KtapTest, ...]  # the outermost: suites, as a rule
    planned: int | None  # how many of these were announced
    problems: tuple[str, ...]  # what is wrong with the KTAP itself, one line each
    began: int = 0  # 1-based record of the log with its first line of KTAP; 0: none
    skipped: bool = False  # a plan of no tests says that all are skipped

    @property
    def missing(self) -> int:
        """Number of planned tests, on all levels, that have no result."""
        done = sum(test.finished for test in self.tests)
        lacking = max(0, (self.planned or 0) - done)
        unopened = max(0, lacking - (len(self.tests) - done))
        return unopened + sum(test.missing for test in self.tests)

    @property
    def complete(self) -> bool:
        """Is there at least one result, and every one that was announced?"""
        return bool(self.tests) and not self.missing and all(t.complete for t in self.tests)

    @property
    def running(self) -> str:
        """Name of the case that began and has no result; "" for none."""
        return next((name for name, test in self.leaves() if not test.finished), "")

    def cases(self, unfinished: Verdict = Verdict.ERROR) -> tuple[CaseResult, ...]:
        """Return the leaves of the tree, in the order they ended.

        Names are dotted below the suite where there is one suite, else they begin with it. A
        suite that failed by itself, though none of its cases did, is a leaf as well. A case
        that began and has no result gets the verdict *unfinished*.
        """
        seen: Counter[str] = Counter()
        results = []
        for path, test in self.leaves():
            name = path
            while name in seen:  # parameters may be described in the same words
                seen[path] += 1
                name = f"{path}#{seen[path]}"
            seen[name] += 1
            remark = f"{test.directive}: {test.remark}".strip(": ") if test.remark else ""
            results.append(
                CaseResult(
                    name=name,
                    verdict=test.verdict if test.finished else unfinished,
                    directive=test.directive,
                    diagnostics=((remark,) if remark else ()) + test.diagnostics,
                )
            )
        return tuple(results)

    def leaves(self) -> Iterator[tuple[str, KtapTest]]:
        """Yield (dotted name, leaf), as :meth:`cases` counts and names them."""
        alone = len(self.tests) == 1
        for test in self.tests:
            yield from _walk(test, "" if alone else test.name)


def _walk(test: KtapTest, path: str) -> Iterator[tuple[str, KtapTest]]:
    """Yield (dotted name, leaf) below *test*, whose own dotted name is *path*."""
    below = [
        leaf
        for child in test.tests
        for leaf in _walk(child, f"{path}.{child.name}" if path else child.name)
    ]
    yield from below
    # By its leaves: a subtest that was left without a result line blames none of its own.
    blamed = any(leaf.verdict in _FAILED for _, leaf in below)
    if not test.tests or (test.finished and test.verdict in _FAILED and not blamed):
        yield path or test.name or "(unnamed)", test


def parse(lines: Iterable[LogLine]) -> KtapResult:
    """Read the KTAP in *lines*, a kernel's log or a program's output; never raises."""
    log = tuple(map(_split, lines))
    reader = _Reader(_margin(log))
    for line in log:
        reader.read(line)
    return reader.finish()


# ---------------------------------------------------------------- lines


@dataclass(frozen=True)
class _Line:
    """A line of the log, and what of KTAP it is; nothing: not found."""

    record: int
    text: str
    words: str  # without indentation
    indent: int
    result: re.Match[str] | None = None
    version: re.Match[str] | None = None
    subtest: re.Match[str] | None = None
    plan: re.Match[str] | None = None

    @property
    def is_ktap(self) -> bool:
        return bool(self.result or self.version or self.subtest or self.plan)


def _split(line: LogLine) -> _Line:
    text = line.text.expandtabs(8)
    words = text.lstrip(" ")
    plain = _Line(line.record, text, words, len(text) - len(words))
    if line.quoted:
        return replace(plain, words="#")  # a test's own words, whatever they are
    return replace(
        plain,
        result=_RESULT.match(words),
        version=_VERSION.match(words),
        subtest=_SUBTEST.match(words),
        plan=_PLAN.match(words),
    )


def _margin(log: Sequence[_Line]) -> int:
    """Return how many spaces stand before the outermost KTAP of *log*.

    The outermost line may be missing where a log begins or ends too early, so that a log is only
    taken as indented as a whole where it begins as KTAP does, or by an odd number of spaces.
    """
    found = [line for line in log if line.is_ktap]
    lowest = min((line.indent for line in found), default=0)
    if not lowest or lowest % 2:
        return lowest
    first, *others = found
    if first.version and others and others[0].subtest and others[0].indent == first.indent:
        first = others[0]
    whole = first.version or first.plan or (first.subtest and lowest < first.indent)
    return lowest if whole else 0


# ---------------------------------------------------------------- the reader


class _Kept:
    """Diagnostic lines: the first and the last ones, and how many were between."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=MAX_DIAGNOSTICS // 2)
        self._dropped = 0

    def add(self, text: str) -> None:
        if len(self._head) < MAX_DIAGNOSTICS // 2:
            self._head.append(text)
            return
        self._dropped += len(self._tail) == self._tail.maxlen
        self._tail.append(text)

    def take(self) -> tuple[str, ...]:
        """Return what was kept and start anew."""
        cut = (f"[... {self._dropped} lines ...]",) if self._dropped else ()
        lines = (*self._head, *cut, *self._tail)
        self._head.clear()
        self._tail.clear()
        self._dropped = 0
        return lines

    def speaker(self, but: set[str]) -> str:
        """Return the last name that spoke as "# name: ...", leaving out *but*; "" for none."""
        for text in (*reversed(self._tail), *reversed(self._head)):
            found = _SPEAKER.match(text)
            if found and found["name"] not in but:
                return found["name"]
        return ""


@dataclass
class _Level:
    """Results at one indentation, until the result line that closes them."""

    indent: int
    name: str = ""
    planned: int | None = None
    tests: list[KtapTest] = field(default_factory=list)
    diagnostics: tuple[str, ...] = ()  # printed before its header
    skipped: str | None = None  # why a plan of no tests says that all are skipped

    @property
    def begun(self) -> bool:
        return bool(self.tests) or self.planned is not None


class _Reader:
    def __init__(self, margin: int) -> None:
        self._levels = [_Level(margin)]
        self._announced: _Level | None = None  # by a header; the next line tells where it belongs
        self._pending = _Kept()
        self._problems: list[str] = []
        self._results = 0
        self._began = 0
        self._record = 0  # that is being read
        self._form = ""  # TAP or KTAP, as the first version line has it

    def read(self, line: _Line) -> None:
        if not line.words:
            return
        self._record = line.record
        if line.result:
            self._result(line.indent, line.result)
        elif line.version:
            self._form = self._form or line.version["form"]
            self._placed(line.indent)
            self._header(line.indent, "")
        elif line.subtest:
            self._placed(line.indent)
            self._header(line.indent, _unescaped(line.subtest["name"])[:MAX_NAME])
        elif line.plan:
            self._placed(line.indent)
            self._plan(line.indent, int(line.plan["last"]), line.plan["remark"] or "")
        elif found := _BAIL_OUT.match(line.words):
            self._problem(f"the test bailed out: {found['reason'] or 'no reason given'}")
        elif found := _UNNUMBERED.match(line.words):
            self._unnumbered(line, found)
        else:
            self._pending.add(line.text)

    def finish(self) -> KtapResult:
        """Close what is open; the innermost level had a test running."""
        if self._announced and len(self._levels) == 1:
            self._levels[0].tests.append(_unfinished(self._announced))
        elif self._announced:
            self._placed(self._announced.indent)
        innermost = self._levels[-1]
        if len(self._levels) > 1:
            self._add_running(innermost)
        while len(self._levels) > 1:
            self._abandon()
        root = self._levels[0]
        self._check_numbers(root, "the log", numbered=False)
        return KtapResult(
            tuple(root.tests),
            root.planned,
            tuple(self._problems),
            self._began,
            bool(root.tests) and all(test.name == ALL for test in root.tests),
        )

    # -------- lines

    def _header(self, indent: int, name: str) -> None:
        """A version line or a "# Subtest:" line: a level begins, or a new one in its place."""
        self._began = self._began or self._record
        level = self._level(indent)
        if name and (level is self._levels[0] or level.begun or level.name):
            self._announced = _Level(indent, name)
            return
        if level is self._levels[0]:
            return
        if level.begun:
            self._abandon()
            level = self._level(indent)
        level.diagnostics += self._pending.take()
        level.name = level.name or name

    def _placed(self, indent: int, name: str | None = None) -> _Level | None:
        """Begin the level that was announced, before a line at *indent*.

        KUnit writes a header as the first line in a level, TAP 14 above it. Returns the level
        where the line is a result called *name* that ends it already.
        """
        level, self._announced = self._announced, None
        if level is None:
            return None
        outer = self._level(level.indent)
        if indent <= level.indent and name == level.name:
            if indent < level.indent:
                self._abandon()
            return level
        if indent < level.indent:
            outer.tests.append(_unfinished(level))
        elif indent > level.indent:
            self._begin(replace(level, indent=indent))
        elif outer is not self._levels[0]:
            if outer.tests or outer.name:
                self._abandon()
                self._begin(level)
            else:
                outer.name = level.name  # its plan came first
        return None

    def _begin(self, level: _Level) -> None:
        level.diagnostics += self._pending.take()
        if len(self._levels) < MAX_DEPTH:
            self._levels.append(level)

    def _plan(self, indent: int, planned: int, remark: str) -> None:
        level = self._level(indent)
        if not planned and (skip := _SKIPS_ALL.match(remark)):
            level.skipped = remark[skip.end() :].strip(" :")
        if level is self._levels[0]:
            # Each module that loads has its own.
            level.planned = (level.planned or 0) + planned
            if not planned and level.skipped is not None and self._results < MAX_RESULTS:
                self._results += 1
                self._began = self._began or self._record
                level.planned += 1
                skipped = KtapTest(ALL, 0, Verdict.SKIP, True, "SKIP", level.skipped)
                level.tests.append(replace(skipped, ended=self._record))
        elif level.planned is None:
            level.planned = planned
        elif level.planned != planned:
            self._problem(f"{level.name or 'a subtest'}: two plans, {level.planned} and {planned}")

    def _unnumbered(self, line: _Line, found: re.Match[str]) -> None:
        """A result without a number, if it is one: only TAP allows that, and then for all."""
        level = self._levels[-1]
        if not self._form or line.indent != level.indent:
            self._pending.add(line.text)
        elif self._form == "TAP" and not any(test.number for test in level.tests):
            self._result(line.indent, found)
        else:
            if found["word"] != "ok":
                self._problem(f"a result without a number: '{line.words[:MAX_NAME]}'")
            self._pending.add(line.text)

    def _result(self, indent: int, found: re.Match[str]) -> None:
        if self._results >= MAX_RESULTS:
            self._problem(f"more than {MAX_RESULTS} results: the rest is not read")
            return
        self._results += 1
        self._began = self._began or self._record
        name, directive, remark = _describe(found["rest"] or "")
        digits = found.groupdict().get("number")
        inner = self._placed(indent, name) or self._close_subtest(indent, name)
        level = self._level(indent)
        test = KtapTest(
            name=name or (inner.name if inner else "") or f"case {digits or len(level.tests) + 1}",
            number=int(digits or 0),
            verdict=_verdict(found["word"] == "ok", directive),
            directive=directive,
            remark=remark,
            diagnostics=(inner.diagnostics if inner else ()) + self._pending.take(),
            planned=inner.planned if inner else None,
            tests=tuple(inner.tests) if inner else (),
            ended=self._record,
        )
        level.tests.append(_with_subtests(test, inner.skipped) if inner else test)

    # -------- levels

    def _level(self, indent: int) -> _Level:
        """Return the level at *indent*, leaving deeper ones behind or opening a new one."""
        while len(self._levels) > 1 and self._levels[-1].indent > indent:
            self._abandon()
        if indent > self._levels[-1].indent and len(self._levels) < MAX_DEPTH:
            self._levels.append(_Level(indent))
        return self._levels[-1]

    def _close_subtest(self, indent: int, name: str) -> _Level | None:
        """Take off the level that a result called *name* at *indent* closes, if there is one."""
        while len(self._levels) > 2 and self._levels[-2].indent > indent:
            self._abandon()
        if len(self._levels) == 1 or self._levels[-1].indent <= indent:
            return None
        inner = self._levels[-1]
        if name and inner.name and inner.name != name:
            self._problem(f"the result of '{name}' stands where that of '{inner.name}' was due")
            self._abandon()
            return None
        self._check_numbers(inner, inner.name or name)
        return self._levels.pop()

    def _abandon(self) -> None:
        """Close the innermost level without its result line."""
        level = self._levels.pop()
        self._check_numbers(level, level.name or "a subtest")
        level.diagnostics += self._pending.take()
        self._levels[-1].tests.append(_unfinished(level))

    def _add_running(self, level: _Level) -> None:
        """Add the test that *level* was at when the log ended, if it was at one."""
        if level.planned is not None and len(level.tests) >= level.planned:
            return
        known = {test.name for test in level.tests} | {outer.name for outer in self._levels}
        name = self._pending.speaker(known) or f"case {len(level.tests) + 1}"
        diagnostics = self._pending.take()
        if level.planned is None and not diagnostics:
            return
        level.tests.append(
            KtapTest(name, 0, Verdict.ERROR, finished=False, diagnostics=diagnostics)
        )

    # -------- soundness

    def _check_numbers(self, level: _Level, name: str, numbered: bool = True) -> None:
        """Note results that are there twice or beyond the plan.

        The outermost results need not start at 1 (``numbered`` False): KUnit counts suites over
        all modules.
        """
        numbers = Counter(test.number for test in level.tests if test.number)
        twice = sorted(number for number, times in numbers.items() if times > 1)
        if numbered and twice:
            self._problem(f"{name}: more than one result has the number {twice[0]}")
        if level.planned is not None and len(level.tests) > level.planned:
            self._problem(f"{name}: {len(level.tests)} results for a plan of {level.planned}")

    def _problem(self, text: str) -> None:
        if len(self._problems) < MAX_PROBLEMS and text not in self._problems:
            self._problems.append(text)


def _unfinished(level: _Level) -> KtapTest:
    return KtapTest(
        name=level.name or "(unnamed)",
        number=0,
        verdict=Verdict.ERROR,
        finished=False,
        diagnostics=level.diagnostics,
        planned=level.planned,
        tests=tuple(level.tests),
    )


def _with_subtests(test: KtapTest, skipped: str | None) -> KtapTest:
    """Return *test*, which announced subtests, with the verdict that they leave it.

    ``skipped`` is why none was to run; None: some were.
    """
    if test.directive not in ("", "SKIP"):
        return test
    if test.directive:
        test = replace(test, remark=test.remark or skipped or "")
    failed = tuple(t.verdict for t in test.tests if t.verdict in _FAILED)
    if failed:
        return replace(test, verdict=Verdict.worst(failed))
    if test.verdict is Verdict.FAIL and test.planned and not test.tests:
        return replace(test, verdict=Verdict.ERROR)  # its set-up failed: no case ran
    if test.verdict is not Verdict.PASS:
        return test
    if not test.tests and skipped is not None:
        return replace(test, verdict=Verdict.SKIP, directive="SKIP", remark=skipped)
    if not test.tests:
        return replace(test, verdict=Verdict.ERROR, remark=test.remark or "no test ran")
    if test.missing:
        lacks = "1 test has" if test.missing == 1 else f"{test.missing} tests have"
        return replace(test, verdict=Verdict.ERROR, remark=test.remark or f"{lacks} no result")
    return test


def _describe(rest: str) -> tuple[str, str, str]:
    """Split what follows a result's number into name, directive and remark."""
    found = _DIRECTIVE.search(rest)
    if found:
        name, directive = rest[: found.start()], found["word"] or "SKIP"
        remark = rest[found.end() :].strip(" :")
    else:
        name, _, remark = rest.partition(" # ")
        directive = ""
    return _unescaped(name.strip())[:MAX_NAME], directive, remark.strip()


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(r"\1", name)


def _verdict(ok: bool, directive: str) -> Verdict:
    match directive:
        case "SKIP":
            return Verdict.SKIP
        case "XFAIL":
            return Verdict.PASS  # kselftest prints "ok # XFAIL", the KTAP text shows "not ok"
        case "TODO":
            return Verdict.PASS if ok else Verdict.DONE  # not meant to work yet: judges nothing
        case "ERROR":
            return Verdict.ERROR
        case "TIMEOUT":
            return Verdict.ERROR if ok else Verdict.FAIL
    return Verdict.PASS if ok else Verdict.FAIL
