# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of verdicts as text: for the end of a run, and as it fills in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from harness.model.results import CellResult, RunRecord
from harness.model.text import one_line
from harness.model.values import Verdict
from harness.report.matrix import MARKS, Matrix, Row, lay_out

ODD = "!"  # stands behind a verdict that is not as expected, for terminals without colour
HEADS = ("patches applied", "patches")  # of the positions: the first that there is room for
GAP = 3  # columns between the blocks of two architectures
# The harness's own characters beyond ASCII, for terminals without them.
_PLAIN = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "’": "'", "•": "o", "✓": "P", "✗": "F"}
)


def fit(text: str, *, ascii_only: bool) -> str:
    """Return *text* in ASCII if *ascii_only*: other characters are replaced or escaped."""
    if not ascii_only:
        return text
    return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


def mark(verdict: Verdict, *, odd: bool, ascii_only: bool) -> Text:
    """Return the sign of *verdict*, marked where it is not as expected."""
    look = MARKS[verdict]
    sign = look.ascii if ascii_only else look.symbol
    if odd:
        return Text(sign + ODD, style=f"bold {look.colour} reverse")
    return Text(sign, style=look.colour)


@dataclass(frozen=True)
class Block:
    """Adjacent columns: positions of one architecture."""

    arch: str
    positions: tuple[int, ...]

    @property
    def column(self) -> int:
        """Width of one column: a sign, its mark, a space; or the number above it."""
        return max(3, 1 + max((len(str(p)) for p in self.positions), default=0))

    @property
    def width(self) -> int:
        return max(len(self.arch), self.column * len(self.positions))


class MatrixTable:
    """A rich renderable: rows of tests, a block of positions for each architecture.

    Blocks that do not fit beside each other stand below each other, and one that does not fit
    by itself is broken, so that nothing is wrapped or cut at any width from 40 columns up.
    """

    def __init__(self, matrix: Matrix, *, unpatched: bool = False) -> None:
        self.matrix = matrix
        self.unpatched = unpatched  # no position but the base as it is: columns have no numbers

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width, ascii_only=options.ascii_only)

    def lines(self, width: int, *, ascii_only: bool) -> Iterator[Text]:
        """Yield the lines of the table, at most *width* columns each, and its legend."""
        labels = {row: self._label(row, ascii_only) for row in self.matrix.rows}
        least = 0 if self.unpatched else len(HEADS[0])
        room = max((len(label) for label in labels.values()), default=0)
        room = max(room, least)
        room = min(room, max(12, width // 2))
        for number, band in enumerate(_bands(self._blocks(width - room - GAP), width - room)):
            if number:
                yield Text()
            yield from self._heads(room, band)
            for row in self.matrix.rows:
                label = labels[row]
                label = label if len(label) <= room else label[: room - 2] + ".."
                line = Text()
                line.append(label.ljust(room), style="" if _opens(row, self.matrix) else "dim")
                for block in band:
                    line.append(" " * GAP)
                    line.append_text(self._cells(row, block, ascii_only))
                line.rstrip()
                yield line
        if self.matrix.rows:
            yield Text()
            yield self._legend(ascii_only)

    def _label(self, row: Row, ascii_only: bool) -> str:
        suffix = one_line(self.matrix.suffix(row)) or "no load"
        if not _opens(row, self.matrix):
            return fit(f"  {suffix.lstrip(', ')}", ascii_only=ascii_only)
        return fit(one_line(row.test + self.matrix.suffix(row)), ascii_only=ascii_only)

    def _blocks(self, width: int) -> list[Block]:
        blocks = []
        for arch in self.matrix.archs:
            whole = Block(arch, self.matrix.positions)
            fits = max(1, width // whole.column)
            for start in range(0, len(whole.positions), fits):
                blocks.append(Block(arch, whole.positions[start : start + fits]))
        return blocks

    def _heads(self, room: int, band: list[Block]) -> Iterator[Text]:
        archs = Text(" " * room)
        head = next(text for text in HEADS if len(text) <= room)
        numbers = Text(head.ljust(room), style="dim")
        for block in band:
            archs.append(" " * GAP + block.arch.ljust(block.width), style="bold")
            places = "".join(str(p).ljust(block.column) for p in block.positions)
            numbers.append(" " * GAP + places.ljust(block.width))
        archs.rstrip()
        numbers.rstrip()
        yield archs
        if not self.unpatched:
            yield numbers

    def _cells(self, row: Row, block: Block, ascii_only: bool) -> Text:
        line = Text()
        for position in block.positions:
            result = self.matrix.at(row, block.arch, position)
            if result is None:
                sign = Text("." if ascii_only else "·", style="dim")
            else:
                sign = mark(result.verdict, odd=not result.as_expected, ascii_only=ascii_only)
            line.append_text(sign)
            line.append(" " * (block.column - len(sign)))
        line.append(" " * (block.width - len(line)))
        return line

    def _legend(self, ascii_only: bool) -> Text:
        """Explain the signs that occur, and no others."""
        seen = {result.verdict for result in self.matrix.results.values()}
        legend = Text(style="dim")
        for verdict in (Verdict.PASS, *(v for v in Verdict if v is not Verdict.PASS)):
            if verdict in seen:
                legend.append_text(mark(verdict, odd=False, ascii_only=ascii_only))
                legend.append(f" {verdict.value}   ")
        if any(not result.as_expected for result in self.matrix.results.values()):
            legend.append(f"{ODD} not as expected   ")
        legend.rstrip()
        return legend


def _opens(row: Row, matrix: Matrix) -> bool:
    """Is *row* the first one of its test?"""
    index = matrix.rows.index(row)
    return index == 0 or matrix.rows[index - 1].test != row.test


def _bands(blocks: list[Block], width: int) -> list[list[Block]]:
    """Put *blocks* side by side as far as *width* allows."""
    bands: list[list[Block]] = []
    used = 0
    for block in blocks:
        if bands and used + GAP + block.width <= width:
            bands[-1].append(block)
            used += GAP + block.width
        else:
            bands.append([block])
            used = GAP + block.width
    return bands


def matrix_table(record: RunRecord) -> MatrixTable:
    """Return the table position × test × arch of *record*, to be printed by rich."""
    return MatrixTable(lay_out(record.cells, record.plan.arch), unpatched=record.unpatched)


def where(result: CellResult) -> str:
    """Return the short name of a cell: ``x86_64 p2 128M sweep + anon``."""
    cell = result.cell
    return f"{cell.arch} p{cell.position} {cell.ram_mib}M {cell.column}"
