# SPDX-License-Identifier: GPL-2.0-only
"""A run in a terminal: live progress while it goes on, and its outcome at the end."""

from __future__ import annotations

import re
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from harness.model.events import Event
from harness.model.results import RunRecord
from harness.model.text import one_line
from harness.report.failures import failed_cases
from harness.report.matrix import differences, duration, headline, must_pass, verdict_text
from harness.report.patch_summary import patch_entries, untested_together
from harness.report.reproduce import run_command, shell_command
from harness.report.splat_text import splat_line
from harness.report.terminal.progress import Board, RunState, end_lines, event_lines, running_lines
from harness.report.terminal.table import fit, mark, matrix_table, where
from harness.verdict.flaky import tallies

TICK_S = 1.0
SPLATS_SHOWN = 3  # of one cell
DIFFERENCES_SHOWN = 20
CASES_SHOWN = 3  # of one cell, that failed


class View:
    """Shows events: on a live board where the terminal can be redrawn, else in plain lines.

    ``with View(console) as view: work(report=view)``. Nothing is shown before the first event.
    Events may come from any thread. After :meth:`close` later events are
    printed in plain lines.
    """

    def __init__(
        self,
        console: Console,
        *,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show on *console*; ``live`` overrides whether it is a terminal that can be redrawn."""
        self._console = console
        self._wants_live = _can_redraw(console) if live is None else live
        self._ascii = console.options.ascii_only
        self._clock = clock
        # Reentrant: starting the live display draws at once, and drawing asks for the state.
        self._lock = threading.RLock()
        self._state = RunState()
        self._spinner = Spinner("line" if self._ascii else "dots", style="cyan")
        self._live: Live | None = None
        self._stop_ticking = threading.Event()
        self._begun = False

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the live board and leave the terminal as it was; harmless a second time."""
        with self._lock:
            self._begun = True  # nothing starts any more
            live, self._live = self._live, None
        self._stop_ticking.set()
        if live is not None:
            live.stop()

    def __call__(self, event: Event) -> None:
        """Show *event*."""
        with self._lock:
            self._begin()
            live = self._live is not None
            now = self._clock()
            again = self._state.known(event)
            ended = self._state.take(event, now)
            lines = list(event_lines(event, ascii_only=self._ascii, odd_only=live, again=again))
            if ended is not None and not live:
                lines += end_lines(ended, now, ascii_only=self._ascii)
        # Outside of our lock: the live display's thread holds rich's own while it asks for ours.
        self._print(lines, wrap=live)

    def tick(self) -> None:
        """Print a line for stages that take long; a thread calls it every second."""
        with self._lock:
            lines = list(running_lines(self._state, self._clock(), ascii_only=self._ascii))
        self._print(lines)

    def _begin(self) -> None:
        """Start to show, at the first event: commands that report nothing show nothing."""
        if self._begun:
            return
        self._begun = True
        self._state.began = self._clock()
        if self._wants_live:
            self._live = Live(
                get_renderable=self._board,
                console=self._console,
                refresh_per_second=8,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)
        else:
            threading.Thread(target=self._keep_ticking, name="view", daemon=True).start()

    def _keep_ticking(self) -> None:
        while not self._stop_ticking.wait(TICK_S):
            self.tick()

    def _board(self) -> Board:
        with self._lock:
            return Board(self._state.copy(), self._clock(), self._spinner)

    def _print(self, lines: Iterable[Text], *, wrap: bool = False) -> None:
        for line in lines:
            # Logs are searched by the line: there one event stays on one, however long.
            self._console.print(line, soft_wrap=not wrap)


def _can_redraw(console: Console) -> bool:
    """Is there a terminal to draw on? FORCE_COLOR makes rich say so in a CI too."""
    return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal


# ---------------------------------------------------------------- outcome


def print_record(console: Console, record: RunRecord, paths: Iterable[Path] = ()) -> None:
    """Print the outcome of a run: matrix, differences, effect of each patch, paths of reports."""
    console.print()
    if record.unpatched:
        _emit(console, f"{record.series_title}{must_pass(record)}", "bold")
        console.print()
    console.print(matrix_table(record))
    console.print()
    _print_differences(console, record)
    _print_repeats(console, record)
    _print_lost(console, record)
    for entries in untested_together(patch_entries(record)):
        entry = entries[0]
        if len(entries) > 1:
            numbers = _numbers([one.number for one in entries])
            _emit(console, f"patches {numbers}: {entry.sentences[0].text}", style="dim")
            continue
        words = (f"patch {entry.number}:", record.commit_at(entry.number), entry.title)
        _emit(console, " ".join(filter(None, words)), style="dim" if entry.quiet else "")
        for sentence in entry.sentences:
            style = "red" if sentence.bad else "dim" if entry.quiet else "bold"
            _emit(console, sentence.text, style, indent=2)
    console.print()
    count = len(record.cells)
    text = f"{count} verdict{'s' if count != 1 else ''} in {duration(record.seconds)}"
    reused = sum(cell.reused for cell in record.cells)
    if reused:
        text += f", {reused} of them reused from earlier runs of the same content"
    good = record.as_expected and bool(record.cells)
    _emit(console, f"{headline(record)}: {text}", style="bold green" if good else "bold red")
    if record.about:
        _emit(console, record.about)
    if record.error:
        _emit(console, record.error, "red")
    for path in paths:
        text = f"  {_short(path)}"  # never wrapped, so that it can be copied
        console.print(Text(fit(text, ascii_only=console.options.ascii_only)), soft_wrap=True)


def _numbers(numbers: Sequence[int]) -> str:
    """Return *numbers*, which ascend, with their ranges: "1-3, 5"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def _emit(console: Console, text: str, style: str = "", *, indent: int = 0) -> None:
    """Print *text* wrapped, each line indented; padding of rich's would trail spaces."""
    fitting = fit(one_line(text, 2000), ascii_only=console.options.ascii_only)
    room = max(20, console.width - indent)
    for line in textwrap.wrap(fitting, room, break_on_hyphens=False):
        console.print(Text(" " * indent + line, style=style))


def _emit_command(console: Console, command: str) -> None:
    """Print *command* as a shell takes it: wrapped between its options, which stay whole."""
    ascii_only = console.options.ascii_only
    lines = [""]
    for part in re.split(r" (?=--)", fit(one_line(command, 2000), ascii_only=ascii_only)):
        if lines[-1] and len(f"   {lines[-1]} {part} \\") > console.width:
            lines[-1] += " \\"
            lines.append(f"  {part}")
        else:
            lines[-1] += f" {part}" if lines[-1] else part
    for line in lines:
        console.print(Text(f"   {line}", "dim"), soft_wrap=True)


def _print_differences(console: Console, record: RunRecord) -> None:
    """Print a line for each cell that is not as expected, and its reason."""
    ascii_only = console.options.ascii_only
    odd = differences(record)
    for one in odd[:DIFFERENCES_SHOWN]:
        result = one.result
        line = mark(result.verdict, odd=True, ascii_only=ascii_only)
        name = f" {fit(where(result), ascii_only=ascii_only)}{one.others}"
        line.append(name, style="bold not reverse")
        console.print(line)
        verdict = verdict_text(result) + (f", in {one.times}" if one.times else "")
        _emit(console, f"{verdict}: {one_line(result.reason)}".rstrip(": "), indent=3)
        failed = failed_cases(result)
        for case in failed[:CASES_SHOWN]:
            _emit(console, case.text, indent=3)
        if len(failed) > CASES_SHOWN:
            _emit(console, f"and {len(failed) - CASES_SHOWN} more cases", indent=3)
        for splat in result.splats[:SPLATS_SHOWN]:
            _emit(console, splat_line(splat), indent=3)
        for command in (run_command(record, result.cell), shell_command(record, result)):
            if command:
                _emit_command(console, command)
    if len(odd) > DIFFERENCES_SHOWN:
        console.print(Text(f"   and {len(odd) - DIFFERENCES_SHOWN} more: see the report"))
    if odd:
        console.print()


def _print_repeats(console: Console, record: RunRecord) -> None:
    """Print the rates of repeated cells; in full where one is flaky."""
    repeated = tallies(record)
    for tally in repeated:
        if tally.flaky:
            _emit(console, f"{tally.cell.id}: {tally.text}", "bold magenta")
    if repeated:
        steady = sum(not tally.flaky for tally in repeated)
        least = min(tally.interval[0] for tally in repeated)
        text = f"{steady} of {len(repeated)} repeated cells had the same verdicts in all runs; "
        _emit(console, f"{text}the lowest rate as expected is above {least:.1%} (95 %)")
        console.print()


def _print_lost(console: Console, record: RunRecord) -> None:
    """Print in which cells the kernel's log lost records that the console has."""
    cells = [r.cell.id for r in record.cells if r.found_records and r.as_expected]
    if cells:
        where = cells[0] + (f" and {len(cells) - 1} more" if len(cells) > 1 else "")
        _emit(
            console, f"kernel log records were lost, and read from the console: {where}", "yellow"
        )
        console.print()


def _short(path: Path) -> Path:
    """Return *path* as it is called from the working folder, if it lies below that."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except (ValueError, OSError):
        return path
