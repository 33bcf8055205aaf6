# SPDX-License-Identifier: GPL-2.0-only
"""Lines of a patch, found again in the source at a later position.

A patch's own line numbers are a guess that its place makes true: earlier patches of a series and
offsets move them. So hunks are looked up in the contents before and after the patch.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unidiff.patch import PatchSet

# Executions by line, by file below the kernel tree.
Counts = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True)
class PlacedLine:
    """A line of a hunk; ``line`` is its place in the file after the patch, 0 for a removed one."""

    mark: str
    text: str
    line: int


@dataclass(frozen=True)
class PlacedHunk:
    """A hunk, and the first line (1-based) of what it replaces and puts there."""

    heading: str
    before: int
    after: int
    lines: tuple[PlacedLine, ...]


@dataclass(frozen=True)
class PlacedFile:
    """The changes of a patch to one file; ``old`` is its name before, "" where it was not there."""

    name: str
    old: str
    hunks: tuple[PlacedHunk, ...]


def place(patch: str, after: Mapping[str, str]) -> tuple[PlacedFile, ...]:
    """Find the hunks of *patch*, a diff, in the files as they are *after* it.

    A file that the patch removes is left out: no line of it can be executed.

    Raises:
        ValueError: a hunk is not there.
    """
    found = []
    for part in PatchSet(patch, metadata_only=False):
        name, old = _name(part.target_file), _name(part.source_file)
        if name and name in after:
            found.append(PlacedFile(name, old, tuple(_hunks(part, after[name].split("\n")))))
    return tuple(found)


def _name(file: str) -> str:
    return "" if file == "/dev/null" else file.partition("\t")[0].partition("/")[2]


def _hunks(part: Any, content: Sequence[str]) -> Iterable[PlacedHunk]:
    off = 0  # how far the last hunk was from where its header said
    shift = 0  # lines that the hunks before have put in
    for hunk in part:
        kept = [_text(line) for line in hunk if line.line_type in "+ "]
        start = hunk.target_start if kept else hunk.target_start + 1
        at = _nearest(kept, content, start + off)
        off = at - start
        number, lines = at, []
        for line in hunk:
            if line.line_type not in "+- ":
                continue  # "\ No newline at end of file"
            there = line.line_type != "-"
            lines.append(PlacedLine(line.line_type, _text(line), number if there else 0))
            number += there
        yield PlacedHunk(hunk.section_header.strip(), at - shift, at, tuple(lines))
        shift += sum((line.mark == "+") - (line.mark == "-") for line in lines)


def _text(line: Any) -> str:
    return str(line.value).removesuffix("\n")


def _nearest(wanted: Sequence[str], content: Sequence[str], guess: int) -> int:
    """Return the line (1-based) at which *wanted* stands, the nearest to *guess*."""
    size = len(wanted)
    for off in range(len(content) + abs(guess) + 1):
        for at in (guess + off, guess - off):
            if at >= 1 and list(content[at - 1 : at - 1 + size]) == list(wanted):
                return at
    raise ValueError(f"no hunk at line {guess}")


def moved(line: int, file: PlacedFile) -> int:
    """Return where *line* of the file before a patch is after it; 0: it was taken out."""
    shift = 0
    for hunk in file.hunks:
        if line < hunk.before:
            break
        at = hunk.before
        for part in hunk.lines:
            if part.mark == "+":
                continue
            if at == line:
                return part.line
            at += 1
        shift = (hunk.after + sum(p.mark != "-" for p in hunk.lines)) - at
    return line + shift


def follow(
    files: Sequence[PlacedFile], later: Sequence[Sequence[PlacedFile]]
) -> tuple[PlacedFile, ...]:
    """Return *files* of one patch with names and lines as they are after the patches *later*."""
    return tuple(_followed(file, later) for file in files)


def _followed(file: PlacedFile, later: Sequence[Sequence[PlacedFile]]) -> PlacedFile:
    for patch in later:
        for step in patch:
            if step.old == file.name:
                hunks = tuple(
                    replace(
                        hunk,
                        lines=tuple(
                            replace(line, line=moved(line.line, step)) if line.line else line
                            for line in hunk.lines
                        ),
                    )
                    for hunk in file.hunks
                )
                file = PlacedFile(step.name, step.name, hunks)
                break
    return file


# ---------------------------------------------------------------- gcov


def read_gcov(text: str, source: str) -> dict[str, dict[int, int]]:
    """Return the executions by file and line in *text*, gcov's JSON of the object of *source*.

    Names are below the kernel tree. A line with code in several functions (inlined, or a macro's)
    counts in all of them.

    Raises:
        ValueError: it is not what gcov writes, or does not speak of *source*.
    """
    try:
        said = json.loads(text)
        here = said["current_working_directory"]
        files = [(posixpath.normpath(posixpath.join(here, f["file"])), f) for f in said["files"]]
        tops = [name for name, _ in files if name.endswith(f"/{source}")]
        if not tops:
            raise ValueError(f"gcov says nothing of {source}")
        top = min(tops, key=len).removesuffix(source)
        counts: dict[str, dict[int, int]] = {}
        for name, file in files:
            if name.startswith(top):
                lines = counts.setdefault(name.removeprefix(top), {})
                for line in file["lines"]:
                    number = int(line["line_number"])
                    lines[number] = lines.get(number, 0) + int(line["count"])
        return counts
    except (KeyError, TypeError) as error:
        raise ValueError(f"not gcov's JSON: {error!r}") from error


def added_up(counts: Iterable[Counts]) -> dict[str, dict[int, int]]:
    """Return the sum of *counts*; a line that one of them has is there, if only with 0."""
    total: dict[str, Counter[int]] = {}
    for one in counts:
        for name, lines in one.items():
            total.setdefault(name, Counter()).update(lines)
    return {name: dict(lines) for name, lines in total.items()}
