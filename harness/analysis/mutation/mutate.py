# SPDX-License-Identifier: GPL-2.0-only
"""Wrong variants of a patch: what a test suite is worth shows in how many of them it tells apart.

Only lines that the patch brought are touched, each by one small slip that a person could make.
No mutant changes the number of lines, so that ``__LINE__`` in the object code stays what it was
and a mutant that compiles to the same code can be told by that code.

The C is looked at by its tokens, not parsed: a mutant that does not compile is found out by the
compiler, and costs no more than that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_QUOTED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
_FLAG = re.compile(r"\b(?:__GFP|PF|VM|GFP)_[A-Z0-9_]+\b")
_HEADER = re.compile(r"\b(if|while|for|switch)\s*\(")
_LOOP = re.compile(r"\b(for|while)\s*\(")
_COMPARISON = re.compile(r"(?<![<>=!+\-*/&|^%])(<=|>=|==|!=|<|>)(?![<>=])")
_LOGICAL = re.compile(r"&&|\|\|")
_NUMBER = re.compile(r"(?<![\w.])(\d+)(?:[uUlL]*)(?![\w.])")
_RETURN = re.compile(r"\breturn\s+([^;]+);")
_LABEL = re.compile(r"\s*(?:case\s[^:;]*|default|[A-Za-z_]\w*)\s*:(?!:)")
_DECLARATION = re.compile(
    r"(?:(?:static|const|unsigned|signed|struct|enum|union|volatile|register|extern|__maybe_unused)"
    r"\s+|(?:int|long|short|char|void|bool|size_t|[us](?:8|16|32|64)|\w+_t)\b[\s*]+\w)"
)
# Words that are easily mistaken for each other.
_SWAPS = (("noio", "nofs"), ("NOIO", "NOFS"), ("__GFP_IO", "__GFP_FS"), ("KERNEL", "NOWAIT"))
_OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Mutant:
    """A file of the kernel with one slip in it."""

    file: str  # below the kernel tree
    line: int  # 1-based, of the slip
    operator: str  # what kind of slip: "drop a statement"
    what: str  # one line: this one
    text: str  # the whole file

    def diff(self, original: str) -> str:
        """Return the slip as a patch over *original*, the file without it."""
        return "".join(
            difflib.unified_diff(
                original.splitlines(keepends=True),
                self.text.splitlines(keepends=True),
                f"a/{self.file}",
                f"b/{self.file}",
            )
        )


@dataclass(frozen=True)
class _Slip:
    """A place of the file and what stands there instead."""

    begin: int
    end: int
    instead: str
    operator: str
    what: str


# Files that a compiler reads; the rest of a patch (documentation, tables) has no mutants.
SOURCES = (".c", ".h")


def changed_lines(before: str, after: str) -> frozenset[int]:
    """Return the lines of *after*, 1-based, that *before* does not have in that place."""
    matcher = difflib.SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    return frozenset(
        line + 1
        for tag, _, _, low, high in matcher.get_opcodes()
        if tag != "equal"
        for line in range(low, high)
    )


def mutants_of(file: str, before: str, after: str) -> tuple[Mutant, ...]:
    """Return every mutant of the lines of *file* that are in *after* and not in *before*.

    Each differs from all others and from *after*; they come in the order of lines.
    """
    lines = changed_lines(before, after)
    sound = code_only(after).split()
    found: dict[str, Mutant] = {}
    for mutant in (*_slips_as_mutants(file, after, lines), *_hunks(file, before, after)):
        # A hunk of comments has nothing for a compiler to take back.
        if code_only(mutant.text).split() != sound or _PREPROCESSOR.findall(
            mutant.text
        ) != _PREPROCESSOR.findall(after):
            found.setdefault(mutant.text, mutant)
    return tuple(sorted(found.values(), key=lambda m: (m.line, m.operator, m.what)))


def code_only(text: str) -> str:
    """Return *text* with comments, literals and preprocessor lines blanked, of the same length."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    return _PREPROCESSOR.sub(blank, _QUOTED.sub(blank, text))


# ---------------------------------------------------------------- slips


def _slips_as_mutants(file: str, text: str, lines: Collection[int]) -> Iterator[Mutant]:
    code = code_only(text)
    for slip in _slips(code):
        line = code.count("\n", 0, slip.begin) + 1
        if line not in lines:
            continue
        wrong = text[: slip.begin] + slip.instead + text[slip.end :]
        yield Mutant(file, line, slip.operator, slip.what, wrong)


def _slips(code: str) -> Iterator[_Slip]:
    yield from _statements(code)
    yield from _conditions(code)
    yield from _loops(code)
    yield from _flags(code)
    yield from _bounds(code)
    yield from _results(code)


def _statements(code: str) -> Iterator[_Slip]:
    """Each simple statement is left out: a restore, an unmap, a jump, an assignment."""
    depth = 0
    for end, char in enumerate(code):
        depth += (char == "(") - (char == ")")
        if char != ";" or depth:
            continue
        begin = max(code.rfind(mark, 0, end) for mark in ";{}") + 1
        begin = _past_headers(code, begin, end)
        statement = code[begin:end]
        if not statement.strip() or _DECLARATION.match(statement):
            continue
        kept = "\n" * statement.count("\n")
        what = f"drop `{_short(statement)};`"
        yield _Slip(begin, end, kept, "drop a statement", what)


def _past_headers(code: str, begin: int, end: int) -> int:
    """Return where the statement proper begins: behind labels, `if (...)`, `else`, loops."""
    while True:
        begin += len(code[begin:end]) - len(code[begin:end].lstrip())
        label = _LABEL.match(code, begin, end)
        header = _HEADER.match(code, begin, end)
        if header:
            begin = _closing(code, header.end() - 1) + 1
        elif label and "?" not in label[0]:
            begin = label.end()
        elif code.startswith(("else", "do"), begin) and not code[begin + 4 : begin + 5].isalnum():
            begin += 4 if code.startswith("else", begin) else 2
        else:
            return begin


def _closing(code: str, opening: int) -> int:
    """Return the place of the parenthesis that closes the one at *opening*."""
    depth = 0
    for at in range(opening, len(code)):
        depth += (code[at] == "(") - (code[at] == ")")
        if not depth:
            return at
    return len(code) - 1


def _conditions(code: str) -> Iterator[_Slip]:
    for header in _HEADER.finditer(code):
        if header[1] in ("for", "switch"):
            continue
        begin, end = header.end(), _closing(code, header.end() - 1)
        condition = code[begin:end]
        what = f"negate `{header[1]} ({_short(condition)})`"
        yield _Slip(begin, end, f"!({condition})", "negate a condition", what)
    for logical in _LOGICAL.finditer(code):
        other = "||" if logical[0] == "&&" else "&&"
        what = f"`{logical[0]}` becomes `{other}`"
        yield _Slip(logical.start(), logical.end(), other, "change a condition", what)


def _loops(code: str) -> Iterator[_Slip]:
    """A loop that is gone through once: a switch, so that `break` leaves it as before."""
    for loop in _LOOP.finditer(code):
        end = _closing(code, loop.end() - 1) + 1
        header = code[loop.start() : end]
        if not code[end:].lstrip().startswith("{"):
            continue
        inside = code[loop.end() : end - 1]
        guard = inside if loop[1] == "while" else inside.split(";")[1] if ";" in inside else ""
        once = f"if ({guard.strip()}) " if guard.strip() else ""
        yield _Slip(
            loop.start(),
            end,
            f"{once}switch (0) default:",
            "remove a loop",
            f"`{_short(header)}` is gone through once",
        )


def _flags(code: str) -> Iterator[_Slip]:
    for flag in _FLAG.finditer(code):
        yield _Slip(*flag.span(), "0", "drop a flag", f"`{flag[0]}` is left out")
    for one, other in _SWAPS:
        for old, new in ((one, other), (other, one)):
            for found in re.finditer(rf"\w*{old}\w*", code):
                name = found[0].replace(old, new)
                what = f"`{found[0]}` becomes `{name}`"
                yield _Slip(*found.span(), name, "mistake a name", what)


def _bounds(code: str) -> Iterator[_Slip]:
    for found in _COMPARISON.finditer(code):
        if code[found.start() - 1 : found.start()] == "-":  # the end of an arrow
            continue
        other = _OTHER[found[0]]
        yield _Slip(*found.span(), other, "change a bound", f"`{found[0]}` becomes `{other}`")
    for found in _NUMBER.finditer(code):
        line = code[code.rfind("\n", 0, found.start()) + 1 : found.start()]
        if _DECLARATION.match(line.strip()):
            continue  # a first value that is overwritten says nothing
        for value in (int(found[1]) + 1, int(found[1]) - 1):
            if value >= 0:
                what = (
                    f"`{found[1]}` becomes `{value}` in `{_short(_line_at(code, found.start()))}`"
                )
                yield _Slip(*found.span(1), str(value), "change a bound", what)


def _results(code: str) -> Iterator[_Slip]:
    for found in _RETURN.finditer(code):
        if found[1].strip() not in ("0", "NULL"):
            what = f"`{_short(found[0])}` returns 0"
            yield _Slip(*found.span(1), "0", "lose a result", what)


def _hunks(file: str, before: str, after: str) -> Iterator[Mutant]:
    """Take each hunk back; what it held in lines is made up for by empty ones."""
    old, new = before.split("\n"), after.split("\n")
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(3):
        changes = [code for code in group if code[0] != "equal"]
        low, high = changes[0][3], changes[-1][4]
        back = old[changes[0][1] : changes[-1][2]]
        back += [""] * (high - low - len(back))
        text = "\n".join((*new[:low], *back, *new[high:]))
        what = f"lines {low + 1} to {high} are as before"
        yield Mutant(file, low + 1, "take a hunk back", what, text)


def _line_at(code: str, at: int) -> str:
    end = code.find("\n", at)
    return code[code.rfind("\n", 0, at) + 1 : end if end >= 0 else len(code)]


def _short(code: str) -> str:
    text = " ".join(code.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
