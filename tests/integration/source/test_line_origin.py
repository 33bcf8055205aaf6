# SPDX-License-Identifier: GPL-2.0-only
"""Lines of a patched file lead back to the patch that brought them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.host.paths import Cache
from harness.model.errors import PatchError
from harness.model.values import Series, SourceTree
from harness.source.apply import unapplied, versions_of
from harness.source.line_origin import patch_of_line
from tests.integration.toy import HEADER, VMALLOC, PatchWriter, toy_tree, two_patches


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceTree:
    return toy_tree(Cache(tmp_path / "cache"), monkeypatch)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    """Three patches of one file: the second moves the first one's line and changes it not."""
    writer = PatchWriter(tmp_path / "toy")
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    writer.add("two", VMALLOC, "/* First", "/* New. */\nint toy_new;\n\n/* First")
    writer.add("three", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 32")
    writer.add("four", VMALLOC, "\treturn size - 1;", "\tsize--;\n\treturn size;")
    return writer.series()


def origins(tree: SourceTree, series: Series, position: int, file: str) -> dict[str, int]:
    *_, (_, text) = versions_of(tree, series, position, file)
    lines = text.decode().split("\n")
    return {
        line: patch_of_line(tree, series, position, file, number)
        for number, line in enumerate(lines, 1)
    }


def test_line_has_the_patch_that_brought_it(tree: SourceTree, series: Series) -> None:
    found = origins(tree, series, 4, VMALLOC)
    brought = {line.strip(): patch for line, patch in found.items() if patch}
    assert brought["return -12;"] == 1, "the second patch moves it, and that is all"
    assert {line: patch for line, patch in brought.items() if patch == 2}.keys() >= {"int toy_new;"}
    assert brought["size--;"] == 4
    assert 3 not in brought.values()
    assert found["int toy_between(int size)"] == 0


def test_later_patches_have_no_part_in_an_earlier_position(
    tree: SourceTree, series: Series
) -> None:
    assert set(origins(tree, series, 1, VMALLOC).values()) == {0, 1}
    assert set(origins(tree, series, 2, HEADER).values()) == {0}
    assert 3 in origins(tree, series, 3, HEADER).values()


def test_line_that_is_not_there_has_no_patch(tree: SourceTree, series: Series) -> None:
    for file, line in ((VMALLOC, 0), (VMALLOC, 10**6), ("mm/none.c", 1), ("../x", 1)):
        assert patch_of_line(tree, series, 4, file, line) == 0


def test_new_file_is_all_its_patch(tree: SourceTree, tmp_path: Path) -> None:
    writer = PatchWriter(tmp_path / "new")
    writer.add("new", "mm/new.c", "", "int a;\nint b;\n")
    series = writer.series()
    assert [patch_of_line(tree, series, 1, "mm/new.c", line) for line in (1, 2)] == [1, 1]


def test_first_patch_that_does_not_apply_is_found(tree: SourceTree, tmp_path: Path) -> None:
    writer = PatchWriter(tmp_path / "odd")
    writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    good = writer.add("two", HEADER, "TOY_LIMIT 16", "TOY_LIMIT 32")
    writer.add("three", VMALLOC, "\treturn -12;", "\treturn -13;")
    good.write_text(good.read_text().replace("-#define TOY_LIMIT 16", "-#define TOY_LIMIT 17"))
    error = unapplied(tree, writer.series())
    assert error is not None
    assert error.number == 2
    assert HEADER in error.what
    assert unapplied(tree, two_patches(tmp_path / "two")) is None


def test_base_patch_that_does_not_apply_leaves_no_position(
    tree: SourceTree, tmp_path: Path
) -> None:
    writer = PatchWriter(tmp_path / "base")
    bad = writer.add("one", VMALLOC, "\treturn -1;", "\treturn -12;")
    bad.write_text(bad.read_text().replace("-\t\treturn -1;", "-\t\treturn -7;"))
    whole = writer.series()
    (patch,) = whole.patches
    series = replace(whole, prepare=(replace(patch, number=0),), patches=())
    with pytest.raises(PatchError, match="does not apply"):
        unapplied(tree, series)
