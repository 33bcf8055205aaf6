# SPDX-License-Identifier: GPL-2.0-only
"""A patch of the series on the HTML page: where it is from, what it changed, and its diff."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.model.results import PatchRecord, RunRecord
from harness.model.text import one_line
from harness.report.excerpts import inside, read_excerpt
from harness.report.html.cell_panel import href_of
from harness.report.patch_summary import PatchEntry, Sentence

DIFF_LIMIT = 96 * 1024  # bytes of one patch that the page holds; the rest stays in its file
DIFF_BUDGET = 4 * 1024 * 1024  # of all patches together
LINES_LIMIT = 4000  # of one patch
_LOOKS = {"+": "add", "-": "del", "@": "hunk"}


@dataclass(frozen=True)
class DiffRow:
    """Adjacent lines of a patch that look the same."""

    look: str  # add, del, hunk, file, or "": as it is
    text: str


@dataclass(frozen=True)
class PatchView:
    """A patch with what it changed, and its text."""

    number: int
    title: str
    sentences: tuple[Sentence, ...]
    quiet: bool
    commit: str = ""  # full id
    short: str = ""
    author: str = ""
    href: str = ""  # of the whole patch
    rows: tuple[DiffRow, ...] = ()
    changed: str = ""  # "12 lines added, 3 removed"
    left_out: int = 0  # bytes that are not shown


def patch_view(folder: Path, record: RunRecord, entry: PatchEntry) -> PatchView:
    """Return the view of the patch that *entry* is about; without a diff where none was kept."""
    patch = next((p for p in record.patches if p.number == entry.number), None)
    words = (entry.number, entry.title, entry.sentences, entry.quiet)
    if patch is None:
        return PatchView(*words)
    limit = min(DIFF_LIMIT, max(1024, DIFF_BUDGET // max(1, len(record.patches))))
    rows, left_out, changed = _diff(folder, patch, limit)
    return PatchView(
        *words,
        commit=patch.commit,
        short=record.commit_at(entry.number),
        author=one_line(patch.author),
        href=href_of(patch.file) if inside(folder, patch.file) else "",
        rows=rows,
        changed=changed,
        left_out=left_out,
    )


def _diff(folder: Path, patch: PatchRecord, limit: int) -> tuple[tuple[DiffRow, ...], int, str]:
    """Return the beginning of a patch in rows, the bytes left out, and how much it changes."""
    excerpt = read_excerpt(folder, patch.file, 2 * limit)
    if excerpt is None or excerpt.binary:
        return (), 0, ""
    lines = excerpt.head[:limit].splitlines()[:LINES_LIMIT]
    looks = list(_looks(lines))
    shown = sum(len(line.encode()) + 1 for line in lines)
    left_out = max(0, excerpt.size - shown)
    rows: list[tuple[str, list[str]]] = []
    for look, line in zip(looks, lines, strict=True):
        if not rows or rows[-1][0] != look:
            rows.append((look, []))
        rows[-1][1].append(line)
    changed = f"{looks.count('add')} lines added, {looks.count('del')} removed"
    return (
        tuple(DiffRow(look, "\n".join(texts)) for look, texts in rows),
        left_out,
        f"at least {changed}" if left_out > 1 else changed,
    )


def _looks(lines: list[str]) -> list[str]:
    """Return how each line looks; before its first diff a patch is a mail."""
    looks = []
    inside_hunk = False
    for line in lines:
        if line.startswith("diff ") or (line.startswith("--- ") and not inside_hunk):
            inside_hunk = False
            looks.append("file")
        elif line.startswith("@@ "):
            inside_hunk = True
            looks.append("hunk")
        elif inside_hunk:
            looks.append(_LOOKS.get(line[:1], ""))
        else:
            looks.append("file" if line.startswith(("+++ ", "index ")) else "")
    return looks
