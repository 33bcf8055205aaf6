# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of each line of a series, given what the tests counted."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.coverage import run
from harness.analysis.coverage.diff_lines import Counts
from harness.analysis.coverage.record import CoverageRecord, DiffFile, LineSeen, Seen
from harness.analysis.coverage.run import line_seen, place_patches, run_coverage, touched_sources
from harness.arch import all_archs
from harness.host.paths import Cache, Checkout
from harness.model.errors import UserError
from harness.model.results import CellResult
from harness.model.values import Cell, GuestTest, Patch, Plan, Series, SourceTree, Verdict
from harness.run.folder import RunFolder
from harness.run.prepare import ResolvedPlan
from harness.run.workspace import Workspace

SOURCE, HEADER = "mm/a.c", "include/linux/a.h"
HOSTILE = "\x1b[31m<script>\u202e\u2028\x0c\x85 | `x`"
ARCHS = all_archs()[:2]


class Writer:
    """A tree, and patches on top of each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = SourceTree("dir:toy", "5.10.1", "toy", "d" * 64, folder / "tree")
        self.patches: list[Patch] = []
        self._now: dict[str, bytes] = {}
        (folder / "tree").mkdir()
        (folder / "patches").mkdir()

    def file(self, name: str, data: bytes) -> None:
        """Have a file in the pristine tree."""
        path = self.tree.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._now[name] = data

    def patch(self, name: str, data: bytes) -> None:
        """Add a patch that makes *data* of a file."""
        before = self._now.get(name)
        hunks = difflib.diff_bytes(
            difflib.unified_diff,
            (before or b"").splitlines(keepends=True),
            data.splitlines(keepends=True),
            b"/dev/null" if before is None else f"a/{name}".encode(),
            f"b/{name}".encode(),
        )
        kind = b"new file mode 100644\n" if before is None else b""
        text = f"diff --git a/{name} b/{name}\n".encode() + kind + b"".join(hunks)
        number = len(self.patches) + 1
        path = self.folder / "patches" / f"{number}.patch"
        path.write_bytes(text)
        digest = hashlib.sha256(text).hexdigest()
        self.patches.append(Patch(number, path, f"patch {number}", digest, (name,)))
        self._now[name] = data

    def ready(self) -> ResolvedPlan:
        """Return a plan of all that was added."""
        series = Series("toy", HOSTILE, self.folder, "5.10", (), tuple(self.patches))
        test = GuestTest("sweep", self.folder, "", "sweep", "sweep")
        plan = Plan(series="toy", base="dir:toy", ram_mib=(128,), loads=("none",))
        return ResolvedPlan(plan, self.tree, series, ARCHS, series.positions, (test,), ())


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def ran(
    counts: Counts, name: str = "sweep", load: str = "none", *, counted: bool = True
) -> run._Tested:
    cell = Cell("x86_64", "dir:toy", 1, (), 128, name, load)
    result = CellResult(cell, Verdict.PASS, Verdict.PASS, "fine", seconds=1.26)
    return run._Tested(result, counts, counted, False)


def arch_counts(
    *tests: run._Tested, sources: tuple[str, ...] = (SOURCE,), number: int = 0
) -> run._ArchCounts:
    """What one architecture counted: the lines that any test has a counter of have code."""
    known: dict[str, frozenset[int]] = {}
    for one in tests:
        for name, lines in one.counts.items():
            known[name] = known.get(name, frozenset()) | lines.keys()
    return run._ArchCounts(ARCHS[number], sources, tests, known)


# ---------------------------------------------------------------- one line


def test_line_seen_adds_executions_and_names_tests_once() -> None:
    seen = line_seen(
        SOURCE,
        7,
        arch_counts(
            ran({SOURCE: {7: 2}}),
            ran({SOURCE: {7: 0}}, "idle"),
            ran({SOURCE: {7: 40}}, load="anon"),
            ran({SOURCE: {7: 1}}),  # at another RAM size: of the same name
        ),
    )
    assert seen == LineSeen(Seen.EXECUTED, 43, ("sweep", "sweep + anon"))


@pytest.mark.parametrize(
    ("name", "line", "want"),
    [
        (SOURCE, 0, Seen.GONE),
        ("mm/elsewhere.c", 0, Seen.GONE),  # gone comes before all else
        (SOURCE, 8, Seen.MISSED),
        (SOURCE, 9, Seen.NO_CODE),
        ("mm/elsewhere.c", 7, Seen.UNCOUNTED),
        ("arch/x86/entry.S", 7, Seen.UNCOUNTED),
        (HEADER, 3, Seen.EXECUTED),  # counted in the file that includes it
        (HEADER, 4, Seen.NO_CODE),
        ("Documentation/a.rst", 1, Seen.NO_CODE),
        (f"mm/{HOSTILE}.c", 1, Seen.UNCOUNTED),
        (f"mm/{HOSTILE}", 1, Seen.NO_CODE),
    ],
)
def test_line_seen_is_one_of_five_states(name: str, line: int, want: Seen) -> None:
    arch = arch_counts(ran({SOURCE: {7: 1, 8: 0}, HEADER: {3: 5}}))
    assert line_seen(name, line, arch).seen is want


def test_line_seen_with_code_in_one_test_is_code_for_all() -> None:
    arch = arch_counts(ran({}), ran({SOURCE: {7: 0}}, "idle"))
    assert line_seen(SOURCE, 7, arch) == LineSeen(Seen.MISSED)


@pytest.mark.parametrize("tests", [(), (ran({}, counted=False),)], ids=["none", "lost"])
def test_without_counters_nothing_passes_for_executed_or_for_no_code(
    tests: tuple[run._Tested, ...],
) -> None:
    assert line_seen(SOURCE, 7, arch_counts(*tests)) == LineSeen(Seen.MISSED)


LINES = st.dictionaries(st.integers(1, 6), st.integers(0, 2**64))
COUNTED = st.dictionaries(st.sampled_from((SOURCE, HEADER)), LINES)


@given(st.lists(COUNTED, min_size=1, max_size=4), st.integers(1, 7))
def test_line_seen_is_executed_with_any_count(counted: list[Counts], line: int) -> None:
    tests = [ran(counts, f"t{number}") for number, counts in enumerate(counted)]
    seen = line_seen(SOURCE, line, arch_counts(*tests))
    each = [counts.get(SOURCE, {}).get(line) for counts in counted]
    assert seen.count == sum(filter(None, each))
    assert seen.by == tuple(f"t{number}" for number, count in enumerate(each) if count)
    assert (seen.seen is Seen.EXECUTED) == bool(seen.by)
    assert (seen.seen is Seen.NO_CODE) == all(count is None for count in each)


# ---------------------------------------------------------------- what is counted


def test_touched_sources_are_c_files_of_patches(writer: Writer) -> None:
    writer.file(SOURCE, b"a\n")
    writer.file(HEADER, b"h\n")
    writer.file("mm/other.c", b"o\n")
    writer.patch(SOURCE, b"b\n")
    writer.patch(HEADER, b"g\n")
    writer.patch("mm/new.c", b"new\n")
    ready = writer.ready()
    assert touched_sources(ready, 0) == ()
    assert touched_sources(ready, 2) == (SOURCE,)
    assert touched_sources(ready, 3) == (SOURCE, "mm/new.c")
    assert touched_sources(ready, 0, ("mm/other.c",)) == ("mm/other.c",)
    assert touched_sources(ready, 1, (SOURCE, "mm/other.c")) == (SOURCE, "mm/other.c")


def test_touched_sources_skip_removed_file(writer: Writer) -> None:
    writer.file(SOURCE, b"a\n")
    text = f"diff --git a/{SOURCE} b/{SOURCE}\ndeleted file mode 100644\n"
    text += f"--- a/{SOURCE}\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    file = writer.folder / "patches" / "gone.patch"
    file.write_text(text)
    writer.patches.append(Patch(1, file, "remove", "0" * 64, (SOURCE,)))
    ready = writer.ready()
    assert touched_sources(ready, 1) == ()
    assert place_patches(ready, 1) == ((),)


@pytest.mark.parametrize("name", ["mm/none.c", HEADER, "mm", "mm/new.c", f"{HOSTILE}.c"])
def test_touched_sources_refuse_further_file_without_c(writer: Writer, name: str) -> None:
    writer.file(HEADER, b"h\n")
    writer.file(SOURCE, b"a\n")
    writer.patch(SOURCE, b"b\n")
    writer.patch("mm/new.c", b"new\n")
    with pytest.raises(UserError, match=r"is no C file of 5\.10\.1") as caught:
        touched_sources(writer.ready(), 1, (name,))
    assert caught.value.what.startswith(name)


# ---------------------------------------------------------------- where lines are


def added(ready: ResolvedPlan, position: int) -> list[dict[str, int]]:
    return [
        {
            line.text: line.line
            for file in files
            for hunk in file.hunks
            for line in hunk.lines
            if line.mark == "+"
        }
        for files in place_patches(ready, position)
    ]


def test_placed_lines_have_numbers_of_position(writer: Writer) -> None:
    base = "".join(f"{n}\n" for n in range(20))
    writer.file(SOURCE, base.encode())
    first = base.replace("10\n", "10\nmine\nlost\n")
    writer.patch(SOURCE, first.encode())
    writer.patch(SOURCE, ("top\n" + first.replace("lost\n", "")).encode())
    ready = writer.ready()
    assert added(ready, 0) == []
    assert added(ready, 1) == [{"mine": 12, "lost": 13}]
    assert added(ready, 2) == [{"mine": 13, "lost": 0}, {"top": 1}]


def test_placed_lines_survive_odd_bytes(writer: Writer) -> None:
    before = b"one\r\n\x0ctwo\x0b\n\xff\xfe three\n"
    after = before + HOSTILE.encode() + b"\n\xffnew\n"
    writer.file(SOURCE, before)
    # Not the writer's own: bytes.splitlines cuts at the carriage return alone as well.
    text = f"diff --git a/{SOURCE} b/{SOURCE}\n--- a/{SOURCE}\n+++ b/{SOURCE}\n@@ -1,3 +1,5 @@\n"
    hunk = b"".join(b" " + line + b"\n" for line in before.split(b"\n")[:-1])
    hunk += b"+" + HOSTILE.encode() + b"\n+\xffnew\n"
    file = writer.folder / "patches" / "odd.patch"
    file.write_bytes(text.encode() + hunk)
    writer.patches.append(Patch(1, file, HOSTILE, "0" * 64, (SOURCE,)))
    assert added(writer.ready(), 1) == [{HOSTILE: 4, "\\xffnew": 5}]
    assert after.count(b"\n") == 5


# ---------------------------------------------------------------- the whole record


Measured = Callable[[Mapping[str, run._ArchCounts]], None]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Let guests have counted what is given, by architecture."""
    monkeypatch.setattr(run, "Lab", lambda *_: nullcontext())

    def give(counts: Mapping[str, run._ArchCounts]) -> None:
        monkeypatch.setattr(run, "_count", lambda _, arch, *__: counts[arch.name])

    return give


def record_of(writer: Writer, position: int) -> CoverageRecord:
    folder = writer.folder
    workspace = Workspace(Checkout(folder), Cache(folder / "cache"), lambda _: None)
    return run_coverage(writer.ready(), position, workspace, RunFolder(folder / "run"))


def test_coverage_of_series_without_c_file_is_refused(writer: Writer, measured: Measured) -> None:
    measured({})
    writer.file(HEADER, b"h\n")
    writer.patch(HEADER, b"g\n")
    for position in (0, 1):
        with pytest.raises(UserError, match=f"no C file up to position {position}") as caught:
            record_of(writer, position)
        assert "--count" in str(caught.value.hint)


def test_coverage_has_each_line_on_each_architecture(writer: Writer, measured: Measured) -> None:
    writer.file(SOURCE, b"a\nb\n")
    writer.patch(SOURCE, b"a\nnew\n")
    one, two = ARCHS
    measured({
        one.name: arch_counts(ran({SOURCE: {2: 5}})),
        two.name: arch_counts(ran({}, counted=False), number=1),
    })  # fmt: skip
    record = record_of(writer, 1)
    assert (record.series, record.series_title, record.position) == ("toy", HOSTILE, 1)
    assert record.archs == (one.name, two.name)
    (file,) = record.patches[0].files
    lines = {(line.mark, line.text): line for line in file.hunks[0].lines}
    assert lines["+", "new"].archs == (LineSeen(Seen.EXECUTED, 5, ("sweep",)),
                                       LineSeen(Seen.MISSED))  # fmt: skip
    assert lines["-", "b"].archs == ()
    assert lines["-", "b"].line == 0
    assert [seen.seen for seen in lines[" ", "a"].archs] == [Seen.NO_CODE, Seen.MISSED]
    assert record.missed == 1
    assert [(t.arch, t.counted, t.seconds) for t in record.tests] == [
        (one.name, True, 1.3),
        (two.name, False, 1.3),
    ]
    assert record.odd() == [record.tests[1]]


def noted(writer: Writer, measured: Measured, name: str, *sources: tuple[str, ...]) -> DiffFile:
    """Return the file *name*, new in a series, where *sources* count on each architecture."""
    writer.file(SOURCE, b"a\n")
    writer.patch(SOURCE, b"b\n")
    writer.patch(name, b"new\n")
    measured({
        arch.name: arch_counts(ran({}), sources=of, number=number)
        for number, (arch, of) in enumerate(zip(ARCHS, sources, strict=True))
    })  # fmt: skip
    return record_of(writer, 2).patches[1].files[0]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("mm/entry.S", "assembly is not counted"),
        ("mm/new.c", f"not compiled by itself on {ARCHS[1].name}"),
        (HEADER, f"counted where {SOURCE}, mm/new.c have code of it"),
        ("Documentation/a.rst", "no C: there is nothing to count"),
        ("mm/c", "no C: there is nothing to count"),
    ],
)
def test_note_of_file_without_own_object_says_why(
    writer: Writer, measured: Measured, name: str, note: str
) -> None:
    file = noted(writer, measured, name, (SOURCE, "mm/new.c"), (SOURCE,))
    assert file.note == note


def test_note_of_header_names_sources_of_any_architecture(
    writer: Writer, measured: Measured
) -> None:
    assert noted(writer, measured, HEADER, (), (SOURCE,)).note == (
        f"counted where {SOURCE} have code of it"
    )


def test_note_of_file_counted_everywhere_is_empty(writer: Writer, measured: Measured) -> None:
    assert noted(writer, measured, "mm/new.c", (SOURCE, "mm/new.c"), ("mm/new.c",)).note == ""
