# SPDX-License-Identifier: GPL-2.0-only
"""How a run stands, from its events; drawn as a board, or told in plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

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

WORTH_SAYING_S = 2.0  # in plain lines a stage shorter than this is not mentioned
SAY_AGAIN_S = 30.0  # and a longer one says this often how far it is
STAGES_SHOWN = 6
COUNTED = 100_000  # a stage with more pieces than this counts bytes: shown as a share


@dataclass
class Running:
    """A stage that began and has not ended."""

    stage: Stage
    since: float
    told: float | None = None  # when a plain line last told of it


@dataclass
class Standing:
    """All that is known so far. Not locked: that is its owner's business."""

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

    def copy(self) -> Standing:
        """Return a copy that later events do not change."""
        running = {key: Running(r.stage, r.since, r.told) for key, r in self.running.items()}
        return Standing(running, list(self.results), self.done, self.total, self.began)


# ---------------------------------------------------------------- plain lines


def tell(event: Event, *, ascii_only: bool, odd_only: bool = False) -> Iterator[Text]:
    """Give the lines that *event* is worth by itself: for a note or a verdict.

    ``odd_only`` leaves out the verdicts that are as expected: a board shows those.
    """
    if isinstance(event, Note):
        first, *rest = visible(event.text).rstrip().split("\n")
        label = "warning: " if event.level == "warning" else ""
        style = "yellow" if label else ""
        yield Text(fit(label + first, ascii_only=ascii_only), style=style)
        for line in rest:
            yield Text(fit(f"    {line}", ascii_only=ascii_only))
    elif isinstance(event, CellDone) and not (odd_only and event.result.as_expected):
        yield _verdict_line(event, ascii_only)


def _verdict_line(event: CellDone, ascii_only: bool) -> Text:
    result = event.result
    odd = not result.as_expected
    line = Text(f"[{event.done:{len(str(event.total))}}/{event.total}] ")
    style = MARKS[result.verdict].colour + (" bold reverse" if odd else "")
    line.append(result.verdict.value + (ODD if odd else ""), style=style)
    said = where(result)
    if odd:
        said += f": {difference(result)}: {one_line(result.reason)}"
    elif result.verdict is not Verdict.PASS:
        said += ", as expected"
    line.append(" " if odd else "  ")
    line.append(fit(one_line(said, 600), ascii_only=ascii_only))
    return line


def tell_end(ended: Running, now: float, *, ascii_only: bool) -> Iterator[Text]:
    """Give the line for a stage that has just ended, where it was long enough for one."""
    if ended.told is not None or now - ended.since >= WORTH_SAYING_S:
        took = duration(now - ended.since)
        yield Text(fit(f"{one_line(ended.stage.text)} ({took})", ascii_only=ascii_only))


def tell_running(standing: Standing, now: float, *, ascii_only: bool) -> Iterator[Text]:
    """Give a line for each stage that runs for long and was not told of lately; notes that."""
    for running in standing.running.values():
        due = running.since + WORTH_SAYING_S
        if running.told is not None:
            due = running.told + SAY_AGAIN_S
        if now < due:
            continue
        text = f"{one_line(running.stage.text)} {progress(running.stage)}".rstrip()
        if running.told is not None:
            text += f", {duration(now - running.since)} so far"
        running.told = now
        yield Text(fit(f"{text} ...", ascii_only=ascii_only))


def progress(stage: Stage) -> str:
    """Say how far *stage* is: "412/1103", "37 %", or nothing."""
    if not stage.total:
        return str(stage.done) if 0 < stage.done <= COUNTED else ""
    if stage.total > COUNTED:
        return f"{100 * stage.done // stage.total} %"
    return f"{stage.done}/{stage.total}"


# ---------------------------------------------------------------- board


class Board:
    """A rich renderable of a standing: overall progress, running stages, the matrix so far."""

    def __init__(self, standing: Standing, now: float, spinner: Spinner) -> None:
        self.standing = standing
        self.now = now
        self.spinner = spinner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.size.height
        matrix = self._matrix(options)
        stages = min(len(self.standing.running), STAGES_SHOWN + 1)
        if matrix and len(matrix) + stages + 4 <= height:
            yield Text()
            yield from matrix
            yield Text()
        yield from self._stages(options)
        if self.standing.total:
            yield self._overall()

    def _matrix(self, options: ConsoleOptions) -> list[Text]:
        if not self.standing.results:
            return []
        # By name, not as a staircase: rows must not change places while one looks at them.
        archs = dict.fromkeys(result.cell.arch for result in self.standing.results)
        matrix = lay_out(self.standing.results, archs, stairs=False)
        return list(MatrixTable(matrix).lines(options.max_width, ascii_only=options.ascii_only))

    def _stages(self, options: ConsoleOptions) -> Iterator[Table | Text]:
        running = sorted(self.standing.running.values(), key=lambda r: r.since)
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
        standing = self.standing
        took = duration(self.now - standing.began)
        odd = sum(not r.as_expected for r in standing.results)
        outcome = Text(f"{odd} not as expected", style="bold red") if odd else Text()
        grid = Table.grid(
            Column(no_wrap=True), Column(ratio=1), Column(no_wrap=True), Column(no_wrap=True),
            padding=(0, 2, 0, 0), expand=True,
        )  # fmt: skip
        count = f"{standing.done} of {standing.total} verdicts"
        bar = ProgressBar(standing.total, standing.done)
        grid.add_row(Text(count, style="bold"), bar, outcome, Text(took, style="dim"))
        return grid
