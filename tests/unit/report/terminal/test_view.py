# SPDX-License-Identifier: GPL-2.0-only
"""Progress on a terminal: live on one that can be redrawn, plain lines elsewhere."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.spinner import Spinner

from harness.model.events import CellDone, Event, Note, Stage
from harness.model.results import RunRecord
from harness.model.values import Verdict
from harness.report.terminal.progress import STAGES_SHOWN, Board, RunState
from harness.report.terminal.view import View
from tests.unit.sample_run import HOSTILE_TEXT, find, make_run


class Clock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Plain:
    """A view that is no terminal, and what it printed."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.clock = Clock()
        self.view = View(Console(file=self.file, width=80), clock=self.clock)

    def after(self, seconds: float, *events: Event) -> list[str]:
        """Let time pass, show *events*, tick once; return the lines that this printed."""
        self.clock.now += seconds
        start = len(self.file.getvalue())
        for event in events:
            self.view(event)
        self.view.tick()
        return self.file.getvalue()[start:].splitlines()


@pytest.fixture
def plain() -> Iterator[Plain]:
    plain = Plain()
    with plain.view:
        yield plain


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return make_run(tmp_path_factory.mktemp("run") / "run")


# ---------------------------------------------------------------- plain lines


def test_verdicts_are_a_line_each(plain: Plain, record: RunRecord) -> None:
    before = find(record, "vmalloc-scope", "arm64", 0)
    after = find(record, "vmalloc-scope", "arm64", 1, "anon")
    odd = find(record, "vmalloc-hygiene", "x86_64", 3, "anon")

    assert plain.after(
        0, CellDone(before, 1, 80), CellDone(after, 2, 80), CellDone(odd, 3, 80)
    ) == [
        "[ 1/80] FAIL  arm64 p0 128M vmalloc-scope, as expected",
        "[ 2/80] PASS  arm64 p1 128M vmalloc-scope + anon",
        "[ 3/80] FAIL! x86_64 p3 128M vmalloc-hygiene + anon: expected PASS: "
        "case no_leak failed: 12 vmalloc pages more than before the test",
    ]


def test_view_says_why_a_repeated_cell_failed_once(plain: Plain, record: RunRecord) -> None:
    odd = find(record, "vmalloc-hygiene", "x86_64", 3, "anon")
    runs = [replace(odd, cell=replace(odd.cell, repeat=n)) for n in range(3)]
    other = replace(runs[2], verdict=Verdict.ERROR, reason="another")
    lines = plain.after(0, *(CellDone(r, n, 3) for n, r in enumerate((*runs[:2], other), 1)))
    assert "case no_leak failed" in lines[0]
    assert lines[1] == "[2/3] FAIL! x86_64 p3 128M vmalloc-hygiene + anon, run 2: as before"
    assert lines[2].endswith("run 3: expected PASS: another")


def test_view_short_stage_has_no_line(plain: Plain) -> None:
    assert plain.after(0, Stage("a", "unpacking")) == []
    assert plain.after(1.9, Stage("a", "unpacked", finished=True)) == []
    assert plain.after(100) == []


def test_view_long_stage_has_a_line_at_intervals(plain: Plain) -> None:
    build = [Stage("b", "building arm64", done, 1103) for done in range(0, 1103, 100)]

    assert plain.after(0, build[0]) == []
    assert plain.after(2.5, build[1]) == ["building arm64 100/1103 ..."]
    assert plain.after(10, build[2], build[3], build[4]) == []  # not a line for every object
    assert plain.after(19, build[5]) == []
    assert plain.after(2, build[6]) == ["building arm64 600/1103, 34 s so far ..."]
    assert plain.after(30) == ["building arm64 600/1103, 1 min 04 s so far ..."]  # silence too
    assert plain.after(1, Stage("b", "arm64 is built", 1103, 1103, finished=True)) == [
        "arm64 is built (1 min 04 s)"
    ]
    assert plain.after(100) == []


def test_progress_of_bytes_is_a_percentage(plain: Plain) -> None:
    plain.after(0, Stage("d", "downloading x.deb", 0, 120_000_000))

    assert plain.after(3, Stage("d", "downloading x.deb", 30_000_000, 120_000_000)) == [
        "downloading x.deb 25 % ..."
    ]


def test_notes_keep_their_lines(plain: Plain) -> None:
    note = Note("arm64 position 2: make failed\nvmalloc.c:7: error: no\n", "warning")

    assert plain.after(0, Note("tcg is used"), note) == [
        "tcg is used",
        "warning: arm64 position 2: make failed",
        "    vmalloc.c:7: error: no",
    ]


def test_long_lines_are_left_whole(plain: Plain) -> None:
    assert plain.after(0, Note("word " * 60 + "end")) == ["word " * 60 + "end"]


def test_view_escapes_control_characters_of_guests(plain: Plain, record: RunRecord) -> None:
    odd = replace(find(record, "vmalloc-scope", "arm64", 1), verdict=Verdict.FAIL,
                  reason=HOSTILE_TEXT)  # fmt: skip
    plain.after(0, Note(HOSTILE_TEXT), CellDone(odd, 1, 1), Stage("s", HOSTILE_TEXT))

    plain.after(3)

    text = plain.file.getvalue()
    assert text.count(r"\x1b[2J\x1b[31mred") == 3
    assert not set(text) & set("\x1b\x00\x07\x9b\u202e\r")


def test_view_ignores_markup_in_texts(plain: Plain) -> None:
    assert plain.after(0, Note("[bold]x[/] :smile:")) == ["[bold]x[/] :smile:"]


def test_no_escape_code_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, record: RunRecord
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(file=io.StringIO())
    with View(console) as view:
        for number, result in enumerate(record.cells, 1):
            view(Stage("s", "building", number, 80))
            view(CellDone(result, number, 80))

    assert isinstance(console.file, io.StringIO)
    assert "\x1b" not in console.file.getvalue()


def test_forced_colour_does_not_make_a_log_a_terminal(record: RunRecord) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with View(console) as view:
        for number, result in enumerate(record.cells, 1):
            view(CellDone(result, number, 80))

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert len(text.splitlines()) == 80
    assert "\x1b[2K" not in text  # a live display erases lines


def test_ascii_terminal(record: RunRecord) -> None:
    raw = io.BytesIO()
    odd = replace(record.cells[0], verdict=Verdict.PASS, reason="größer → ✓ – “x”")
    with View(Console(file=io.TextIOWrapper(raw, "ascii", write_through=True))) as view:
        view(CellDone(odd, 1, 2))
        view(Note("128 MiB × 2…"))

    text = raw.getvalue().decode("ascii")
    assert "gr\\xf6\\xdfer -> P - \\u201cx\\u201d" in text
    assert "128 MiB x 2..." in text


def test_view_without_events_prints_nothing() -> None:
    file = io.StringIO()
    with View(Console(file=file, force_terminal=True), live=True):
        pass
    with View(Console(file=file)):
        pass

    assert file.getvalue() == ""


# ---------------------------------------------------------------- live


def board(state: RunState, width: int = 80, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True,
                      color_system=None)  # fmt: skip
    console.print(Board(state, 1100.0, Spinner("dots")))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture
def state(record: RunRecord) -> RunState:
    """Half of a run: positions 0 and 1, and a build under way."""
    state = RunState(began=1000.0)
    for number, result in enumerate(record.cells[:32], 1):
        state.take(CellDone(result, number, 80), 1050.0)
    state.take(Stage("build arm64 p2", "building arm64 position 2", 412, 1103), 1060.0)
    return state


def test_board_shows_stages_matrix_and_progress(state: RunState) -> None:
    lines = board(state)

    text = "\n".join(lines)
    assert "vmalloc-scope          ✗  ✓     ✗  ✓" in text
    assert "  + anon               ✗  ✗     ✗  ?!" in text
    (stage,) = (line for line in lines if "building arm64 position 2" in line)
    assert "412/1103" in stage
    assert "40 s" in stage
    assert lines[-1].startswith("32 of 80 verdicts")
    assert "1 not as expected" in lines[-1]
    assert lines[-1].endswith("1 min 40 s")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_board_fits_its_terminal(state: RunState, width: int) -> None:
    for n in range(20):
        state.take(Stage(f"s{n}", f"a rather long name of a stage, as paths are {n}", n), 1070.0)

    lines = board(state, width, height=24)

    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) < 24
    assert f"and {21 - STAGES_SHOWN} more" in "\n".join(lines)


def test_board_leaves_the_matrix_out_where_it_does_not_fit(state: RunState) -> None:
    lines = board(state, height=10)

    assert len(lines) == 2
    assert "32 of 80 verdicts" in lines[-1]


def test_ended_stages_leave_the_board(state: RunState) -> None:
    state.take(Stage("build arm64 p2", "built", finished=True), 1090.0)

    assert not [line for line in board(state) if "buil" in line]


def test_live_view_keeps_notes_and_unexpected_verdicts(record: RunRecord) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40,
                      color_system=None)  # fmt: skip
    with View(console, live=True) as view:
        view(Note("a note"))
        for number, result in enumerate(record.cells, 1):
            view(CellDone(result, number, 80))

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "a note" in text
    assert "[31/80] MISS! arm64 p1 128M kvmalloc-flags + anon: expected FAIL" in text
    assert "[ 1/80]" not in text  # as expected: seen on the board alone
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h")  # the cursor is there again


def test_view_prints_plain_lines_after_close(record: RunRecord) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None)
    with View(console, live=True) as view:
        view(Stage("s", "booting"))
        view.close()
        view.close()
        assert isinstance(console.file, io.StringIO)
        start = len(console.file.getvalue())
        view(Stage("t", "late"))
        view(CellDone(record.cells[0], 1, 1))
        late = console.file.getvalue()[start:]

    assert late == "[1/1] FAIL  x86_64 p0 128M vmalloc-scope, as expected\n"
    assert console.file.getvalue()[start:] == late


def test_view_that_was_closed_early_does_not_begin() -> None:
    file = io.StringIO()
    with View(Console(file=file, force_terminal=True, color_system=None), live=True) as view:
        view.close()
        view(Note("late"))

    assert file.getvalue() == "late\n"


@pytest.mark.parametrize("live", [False, True])
def test_events_may_come_from_any_thread(record: RunRecord, live: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=live, width=200, color_system=None)
    count = itertools.count(1)
    failed: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for step in range(60):
                view(Stage(f"s{name}", "working", step, 60, finished=step == 59))
                view(Note(f"note {name}.{step}"))
                view(CellDone(record.cells[step], next(count), 480))
        except BaseException as error:
            failed.append(error)

    with View(console, live=live) as view:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert not failed
    assert not [thread for thread in threads if thread.is_alive()]
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(f"note {n}.{step}\n" in text for n in range(8) for step in range(60))
