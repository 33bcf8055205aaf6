# SPDX-License-Identifier: GPL-2.0-only
"""The state of a run, from its events; drawn as a board, or printed in plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from harness.model.events import CellDone, Event, Note, Stage
from harness.model.results import CellResult
from harness.model.text import one_line, visible
from harness.model.values import Verdict
from harness.report.matrix import MARKS, difference, duration, lay_out
from harness.report.terminal.table import ODD, MatrixTable, fit, where
from harness.verdict.flaky import kind_of

REPORT_AFTER_S = 2.0  # plain lines leave out stages shorter than this
REPORT_EVERY_S = 30.0  # and report progress of a longer one at this interval
STAGES_SHOWN = 6
COUNTED = 100_000  # a stage with more pieces than this counts bytes: shown as a share


@dataclass
class Running:
    """A stage that began and has not ended."""

    stage: Stage
    since: float
    reported_at: float | None = None  # time of its last plain line


@dataclass
class RunState:
    """Stages and verdicts so far; its owner locks it."""

    running: dict[str, Running] = field(default_factory=dict)
    results: list[CellResult] = field(default_factory=list)
    done: int = 0
    total: int = 0
    began: float = 0.0

    def take(self, event: Event, now: float) -> Running | None:
        """Enter *event*; return the stage it ended, if any."""
        if isinstance(event, CellDone):
            self.results.append(event.result)
            self.done, self.total = max(self.done, event.done), event.total
        elif isinstance(event, Stage):
            known = self.running.setdefault(event.key, Running(event, now))
            known.stage = event
            if event.finished:
                return self.running.pop(event.key)
        return None

    def known(self, event: Event) -> bool:
        """Whether an earlier run of the cell of *event* went wrong in the same way."""
        if not isinstance(event, CellDone) or event.result.as_expected:
            return False
        cell = replace(event.result.cell, repeat=0)
        return any(
            replace(r.cell, repeat=0) == cell and kind_of(r) == kind_of(event.result)
            for r in self.results
            if not r.as_expected
        )

    def copy(self) -> RunState:
        """Return a copy that later events do not change."""
        running = {key: Running(r.stage, r.since, r.reported_at) for key, r in self.running.items()}
        return RunState(running, list(self.results), self.done, self.total, self.began)


# ---------------------------------------------------------------- plain lines


def event_lines(
    event: Event, *, ascii_only: bool, odd_only: bool = False, again: bool = False
) -> Iterator[Text]:
    """Yield the lines of *event*, if it is a note or a verdict.

    ``odd_only`` leaves out the verdicts that are as expected: a board shows those. ``again``: an
    earlier run of the same cell went wrong in the same way, and its reason was said.
    """
    if isinstance(event, Note):
        first, *rest = visible(event.text).rstrip().split("\n")
        label = "warning: " if event.level == "warning" else ""
        style = "yellow" if label else ""
        yield Text(fit(label + first, ascii_only=ascii_only), style=style)
        for line in rest:
            yield Text(fit(f"    {line}", ascii_only=ascii_only))
    elif isinstance(event, CellDone) and not (odd_only and event.result.as_expected):
        yield _verdict_line(event, ascii_only, again)


def _verdict_line(event: CellDone, ascii_only: bool, again: bool) -> Text:
    result = event.result
    odd = not result.as_expected
    line = Text(f"[{event.done:{len(str(event.total))}}/{event.total}] ")
    style = MARKS[result.verdict].colour + (" bold reverse" if odd else "")
    line.append(result.verdict.value + (ODD if odd else ""), style=style)
    text = where(result)
    text += f", run {result.cell.repeat + 1}" if result.cell.repeat else ""
    if odd and again:
        text += ": as before"
    elif odd:
        text += f": {difference(result)}: {one_line(result.reason)}"
    elif result.verdict is not Verdict.PASS:
        text += ", as expected"
    line.append(" " if odd else "  ")
    line.append(fit(one_line(text, 600), ascii_only=ascii_only))
    return line


def end_lines(ended: Running, now: float, *, ascii_only: bool) -> Iterator[Text]:
    """Yield the line of a stage that has just ended, if it was long enough for one."""
    if ended.reported_at is not None or now - ended.since >= REPORT_AFTER_S:
        took = duration(now - ended.since)
        yield Text(fit(f"{one_line(ended.stage.text)} ({took})", ascii_only=ascii_only))


def running_lines(state: RunState, now: float, *, ascii_only: bool) -> Iterator[Text]:
    """Yield a line for each stage that runs for long and had no line lately; notes the time."""
    for running in state.running.values():
        due = running.since + REPORT_AFTER_S
        if running.reported_at is not None:
            due = running.reported_at + REPORT_EVERY_S
        if now < due:
            continue
        text = f"{one_line(running.stage.text)} {progress(running.stage)}".rstrip()
        if running.reported_at is not None:
            text += f", {duration(now - running.since)} so far"
        running.reported_at = now
        yield Text(fit(f"{text} ...", ascii_only=ascii_only))


def progress(stage: Stage) -> str:
    """Return the progress of *stage*: "412/1103", "37 %", or nothing."""
    if not stage.total:
        return str(stage.done) if 0 < stage.done <= COUNTED else ""
    if stage.total > COUNTED:
        return f"{100 * stage.done // stage.total} %"
    return f"{stage.done}/{stage.total}"


# ---------------------------------------------------------------- board


class Board:
    """A rich renderable of a state: overall progress, running stages, the matrix so far."""

    def __init__(self, state: RunState, now: float, spinner: Spinner) -> None:
        self.state = state
        self.now = now
        self.spinner = spinner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.size.height
        matrix = self._matrix(options)
        stages = min(len(self.state.running), STAGES_SHOWN + 1)
        if matrix and len(matrix) + stages + 4 <= height:
            yield Text()
            yield from matrix
            yield Text()
        yield from self._stages(options)
        if self.state.total:
            yield self._overall()

    def _matrix(self, options: ConsoleOptions) -> list[Text]:
        if not self.state.results:
            return []
        # By name, not as a staircase: rows must not change places while one looks at them.
        archs = dict.fromkeys(result.cell.arch for result in self.state.results)
        matrix = lay_out(self.state.results, archs, stairs=False)
        return list(MatrixTable(matrix).lines(options.max_width, ascii_only=options.ascii_only))

    def _stages(self, options: ConsoleOptions) -> Iterator[Table | Text]:
        running = sorted(self.state.running.values(), key=lambda r: r.since)
        grid = Table.grid(
            Column(width=2),
            Column(ratio=1, no_wrap=True, overflow="crop"),
            Column(width=12, justify="right"),
            Column(width=14 if options.max_width >= 100 else 8),
            Column(width=11, justify="right"),
            padding=(0, 1, 0, 0),
            expand=True,
        )
        for entry in running[:STAGES_SHOWN]:
            stage = entry.stage
            grid.add_row(
                self.spinner,
                Text(fit(one_line(stage.text), ascii_only=options.ascii_only)),
                Text(progress(stage), style="dim"),
                ProgressBar(stage.total, stage.done) if stage.total else Text(),
                Text(duration(self.now - entry.since), style="dim"),
            )
        if running:
            yield grid
        if len(running) > STAGES_SHOWN:
            yield Text(f"  and {len(running) - STAGES_SHOWN} more", style="dim")

    def _overall(self) -> Table:
        state = self.state
        took = duration(self.now - state.began)
        odd = sum(not r.as_expected for r in state.results)
        outcome = Text(f"{odd} not as expected", style="bold red") if odd else Text()
        grid = Table.grid(
            Column(no_wrap=True), Column(ratio=1), Column(no_wrap=True), Column(no_wrap=True),
            padding=(0, 2, 0, 0), expand=True,
        )  # fmt: skip
        count = f"{state.done} of {state.total} verdicts"
        bar = ProgressBar(state.total, state.done)
        grid.add_row(Text(count, style="bold"), bar, outcome, Text(took, style="dim"))
        return grid
