# SPDX-License-Identifier: GPL-2.0-only
"""The patch of a series that a line of the source comes from, as git blame tells of commits."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from harness.model.errors import PatchError
from harness.model.values import Series, SourceTree
from harness.source.apply import versions_of


def patch_of_line(tree: SourceTree, series: Series, position: int, file: str, line: int) -> int:
    """Return the number of the patch that brought line *line* (from 1) of *file* at *position*.

    0: the base has it, or there is no such line.
    """
    touching = [patch for patch in series.applied(position) if file in patch.touches]
    if not touching:
        return 0
    try:
        versions = versions_of(tree, series, position, file)
    except PatchError:
        return 0
    origins: list[int] = []
    lines: list[bytes] = []
    for number, text in versions:
        after = text.split(b"\n")
        origins = _carried(lines, after, origins, number)
        lines = after
    return origins[line - 1] if 0 < line <= len(origins) else 0


def _carried(
    before: Sequence[bytes], after: Sequence[bytes], origins: Sequence[int], number: int
) -> list[int]:
    """Return the origin of each line of *after*: that of the same one before, else *number*."""
    carried = [number] * len(after)
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    carried[:start] = origins[:start]
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if end:
        carried[-end:] = origins[-end:]
    middle = difflib.SequenceMatcher(
        None, before[start : len(before) - end], after[start : len(after) - end], autojunk=True
    )
    for old, new, size in middle.get_matching_blocks():
        carried[start + new : start + new + size] = origins[start + old : start + old + size]
    return carried
