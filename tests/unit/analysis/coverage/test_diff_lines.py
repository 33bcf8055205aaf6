# SPDX-License-Identifier: GPL-2.0-only
"""Lines of patches, followed through later ones, and gcov's counts of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.coverage.diff_lines import (
    PlacedFile,
    added_up,
    follow,
    moved,
    place,
    read_gcov,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "gcov"


def diff(
    before: Sequence[str], after: Sequence[str], context: int = 3, name: str = "mm/a.c"
) -> str:
    return "\n".join(
        difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="", n=context)
    )


def placed(before: Sequence[str], after: Sequence[str], context: int = 3) -> PlacedFile:
    (file,) = place(diff(before, after, context) + "\n", {"mm/a.c": "\n".join(after)})
    return file


def added(file: PlacedFile) -> dict[str, int]:
    return {line.text: line.line for hunk in file.hunks for line in hunk.lines if line.mark == "+"}


def test_place_numbers_added_lines_as_in_file() -> None:
    file = placed(["a", "b", "c"], ["a", "new", "b", "c", "end"])
    assert added(file) == {"new": 2, "end": 5}


def test_place_finds_hunk_at_offset() -> None:
    before, after = ["a", "b", "c"], ["a", "new", "b", "c"]
    text = diff(before, after)
    (file,) = place(text + "\n", {"mm/a.c": "\n".join(["above"] * 40 + after)})
    assert added(file) == {"new": 42}


def test_later_hunks_follow_the_offset_of_the_first() -> None:
    before = [f"line {n}" if n % 7 else "}" for n in range(60)]
    after = [*before[:10], "x", *before[10:50], "y", *before[50:]]
    (file,) = place(diff(before, after) + "\n", {"mm/a.c": "\n".join(["up"] * 9 + after)})
    assert added(file) == {"x": 20, "y": 61}


def test_place_of_missing_hunk_is_an_error() -> None:
    with pytest.raises(ValueError, match="no hunk at line"):
        place(diff(["a"], ["b"]) + "\n", {"mm/a.c": "something else"})


def test_place_of_new_and_removed_file() -> None:
    new = "--- /dev/null\n+++ b/mm/new.c\n@@ -0,0 +1,2 @@\n+one\n+two\n"
    gone = "--- a/mm/old.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n"
    (file,) = place(new + gone, {"mm/new.c": "one\ntwo\n"})
    assert (file.name, file.old, added(file)) == ("mm/new.c", "", {"one": 1, "two": 2})


def test_lines_are_followed_through_a_later_patch() -> None:
    base = [str(n) for n in range(1, 20)]
    first = [*base[:9], "mine", "lost", *base[9:]]
    second = ["top", *[line for line in first if line != "lost"]]
    one, two = placed(base, first), placed(first, second)
    (followed,) = follow([one], [[two]])
    assert added(followed) == {"mine": second.index("mine") + 1, "lost": 0}


def test_a_rename_takes_the_lines_along() -> None:
    one = placed(["a"], ["a", "mine"])
    text = "\n".join((
        "diff --git a/mm/a.c b/mm/b.c", "similarity index 50%", "rename from mm/a.c",
        "rename to mm/b.c", "--- a/mm/a.c", "+++ b/mm/b.c", "@@ -1,2 +1,3 @@", "+head", " a",
        " mine", "",
    ))  # fmt: skip
    (followed,) = follow([one], [place(text, {"mm/b.c": "head\na\nmine\n"})])
    assert (followed.name, added(followed)) == ("mm/b.c", {"mine": 3})


LINES = st.lists(st.sampled_from(["{", "}", "x;", "y;", ""]), max_size=30)


@given(before=LINES, after=LINES, context=st.integers(1, 3))
def test_follow_finds_unchanged_line_with_text(
    before: list[str], after: list[str], context: int
) -> None:
    text = diff(before, after, context)
    if not text or not before or not after:
        return
    file = placed(before, after, context)
    for hunk in file.hunks:
        for line in hunk.lines:
            assert line.mark == "-" or after[line.line - 1] == line.text
    kept = [moved(number, file) for number in range(1, len(before) + 1)]
    for number, at in enumerate(kept, 1):
        assert not at or after[at - 1] == before[number - 1]
    removed = sum(line.mark == "-" for hunk in file.hunks for line in hunk.lines)
    assert kept.count(0) == removed


# ---------------------------------------------------------------- gcov


def test_gcovs_lines_are_named_below_the_tree() -> None:
    counts = read_gcov((GOLDEN / "vmalloc.json").read_text(), "mm/vmalloc.c")
    assert {"mm/vmalloc.c", "include/linux/sched/mm.h"} <= counts.keys()
    assert all(not name.startswith(("/", ".")) for name in counts)


def test_a_line_in_several_functions_counts_in_all() -> None:
    line = {"line_number": 7, "count": 3}
    said = {
        "current_working_directory": "/b/out",
        "files": [
            {"file": "../tree/mm/a.c", "lines": [line, {**line, "count": 4}]},
            {"file": "/usr/lib/gcc/stddef.h", "lines": [line]},
        ],
    }
    assert read_gcov(json.dumps(said), "mm/a.c") == {"mm/a.c": {7: 7}}


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"current_working_directory": "/", "files": []}',
     '{"current_working_directory": "/", "files": [{"file": "x/mm/a.c", "lines": [{}]}]}'],
)  # fmt: skip
def test_gcov_output_of_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_gcov(text, "mm/a.c")


def test_counts_add_up_and_zeros_stay() -> None:
    one, two = {"a": {1: 0, 2: 5}}, {"a": {2: 1, 3: 0}, "b": {9: 1}}
    assert added_up([one, two]) == {"a": {1: 0, 2: 6, 3: 0}, "b": {9: 1}}
