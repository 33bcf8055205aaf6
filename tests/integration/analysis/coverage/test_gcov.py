# SPDX-License-Identifier: GPL-2.0-only
"""Counters of executed lines, from a real compiler's gcov and a guest that answers as told."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from harness.analysis.coverage.gcov import count_lines, counted_sources, read_counters
from harness.build.kernel import GCOV, build_kernel
from harness.guest.guest import Executed, Guest
from harness.host.paths import Cache
from harness.model.errors import GuestError, InfraError
from harness.model.values import Kernel
from tests.integration.toy import VMALLOC, fragment, ignore, toy_arch, toy_tree, two_patches

HEADER = "int room(int n);\nstatic inline int twice(int n)\n{\n\treturn room(n) + room(n);\n}\n"
SOURCE = """\
#include "pool.h"
__attribute__((noipa)) int room(int n)
{
	if (n > 3)
		return 0;
	return 1;
}
int main(void)
{
	room(1);
	return twice(2) - 2;
}
"""


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """The toy kernel at position 0, with counters in its vmalloc.c."""
    cache = Cache(tmp_path / "cache")
    tree = toy_tree(cache, monkeypatch)
    base = (fragment(tmp_path / "kconfigs", "base", "CONFIG_SWITCH=y\nCONFIG_MODULES=y\n"),)
    words = (tree, two_patches(tmp_path / "toy"), 0, toy_arch(), base, cache, ignore)
    built = build_kernel(*words, profiled=(VMALLOC,))
    plain = build_kernel(*words)
    assert plain.key != built.key
    assert counted_sources(plain, (VMALLOC,)) == ()
    return built


def test_gcov_counts_profiled_files(counting: Kernel) -> None:
    assert counted_sources(counting, (VMALLOC, "kernel/main.c")) == (VMALLOC,)
    assert [p.name for p in (counting.path / GCOV).rglob("*.gcno")] == ["vmalloc.gcno"]


def test_counters_become_lines_of_source_and_header(counting: Kernel, tmp_path: Path) -> None:
    (tmp_path / "src/mm").mkdir(parents=True)
    (tmp_path / "out/mm").mkdir(parents=True)
    (tmp_path / "src/mm/pool.h").write_text(HEADER)
    (tmp_path / "src/mm/pool.c").write_text(SOURCE)
    flags = ("-O2", "-fprofile-arcs", "-ftest-coverage")
    for argv in (
        ("gcc", *flags, "-c", "../src/mm/pool.c", "-o", "mm/pool.o"),
        ("gcc", *flags, "mm/pool.o", "-o", "pool"),
        ("./pool",),
    ):
        subprocess.run(argv, cwd=tmp_path / "out", check=True)
    notes = tmp_path / "entry" / GCOV / "mm"
    notes.mkdir(parents=True)
    (tmp_path / "out/mm/pool.gcno").rename(notes / "pool.gcno")
    counters = {"mm/pool.c": (tmp_path / "out/mm/pool.gcda").read_bytes()}
    counted = count_lines(replace(counting, path=tmp_path / "entry"), toy_arch(), counters)
    assert counted["mm/pool.c"] == {2: 3, 4: 3, 5: 0, 8: 1, 10: 1, 11: 1} | {
        line: counted["mm/pool.c"][line] for line in counted["mm/pool.c"].keys() & {6, 7}
    }
    assert counted["mm/pool.h"][4] >= 1


def test_counters_of_other_form_are_an_error(counting: Kernel) -> None:
    with pytest.raises(InfraError, match=r"cannot read the counters of mm/vmalloc\.c"):
        count_lines(counting, toy_arch(), {VMALLOC: b"nonsense"})


class FakeGuest:
    """Answers to find and to hexdump."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def exec(self, argv: Sequence[str], timeout_s: float) -> Executed:
        assert timeout_s > 0
        if argv[0] == "/bin/find":
            return Executed(tuple(self._files), "exit", 0)
        return Executed(tuple(self._files[argv[-1]].splitlines()), "exit", 0)


def guest(files: dict[str, str]) -> Guest:
    return cast(Guest, FakeGuest(files))


def test_gcov_reads_file_of_kernel_not_namesake() -> None:
    of = "/sys/kernel/debug/gcov/tree/out"
    shown = {f"{of}/drivers/mm/util.gcda": "ff", f"{of}/mm/util.gcda": "61626364\n6566   "}
    assert read_counters(guest(shown), ("mm/util.c",)) == {"mm/util.c": b"abcdef"}


def test_a_guest_without_counters_or_with_nonsense_is_told() -> None:
    with pytest.raises(GuestError, match="no counters"):
        read_counters(guest({}), ("mm/util.c",))
    with pytest.raises(GuestError, match="cannot show"):
        read_counters(guest({"/x/mm/util.gcda": "<b>\x1b"}), ("mm/util.c",))
