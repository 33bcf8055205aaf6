# SPDX-License-Identifier: GPL-2.0-only
"""RAM that each test needs at each position: an SVG figure, Markdown, a terminal table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from rich.console import Console
from rich.table import Table

from harness.analysis.ram_threshold.search import Threshold, ThresholdRecord, ThresholdRow, say
from harness.model.text import md_cell, one_line
from harness.report.html.plots import ticks

WIDTH, LEFT, RIGHT = 760, 232, 96
ROW, HEAD, GAP, AXIS = 28, 26, 16, 36
# The figure has both colour schemes: pages may be light or dark.
_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif }
text { fill: #1a1e23 }
.quiet { fill: #626c78; font-size: 11.5px } .head { font-weight: 600 }
.grid { stroke: #e0e4e9 } .move { stroke: #98a2ae; stroke-width: 2 }
.first { fill: #98a2ae } .mid { fill: #7db7f2 } .last { fill: #1f5fa8 } .none { fill: #c23a1e }
@media (prefers-color-scheme: dark) {
text { fill: #e4e7ea } .quiet { fill: #98a2ae } .grid { stroke: #2d343c } .move { stroke: #626c78 }
.last { fill: #6db1f2 } .mid { fill: #2d6aa8 } .none { fill: #f79c85 }
}
"""


def markdown(record: ThresholdRecord, picture: str = "") -> str:
    """Return the report as Markdown; *picture* is the path of the figure, as the page links it."""
    return "\n".join(_lines(record, picture)) + "\n"


def print_thresholds(console: Console, record: ThresholdRecord) -> None:
    """Print a row for each test, load and architecture, a column for each position."""
    positions = _positions(record)
    table = Table(box=None, pad_edge=False)
    for column in ("arch", "test", *(f"p{p}" for p in positions), ""):
        table.add_column(column, overflow="fold")
    for (arch, what), rows in _by_subject(record).items():
        cells = [_short(rows[p].found) if p in rows else "" for p in positions]
        table.add_row(arch, one_line(what), *cells, _moved(rows, positions))
    console.print(table, markup=False)
    for row in record.rows:
        if row.found.mib is None or row.found.doubtful or not row.found.finished:
            console.print(one_line(row.text, 400), markup=False, soft_wrap=True)


def figure(record: ThresholdRecord) -> str:
    """Return the picture as SVG: for each test where on the axis of RAM its thresholds lie."""
    positions = _positions(record)
    subjects = _by_subject(record)
    archs = list(dict.fromkeys(arch for arch, _ in subjects))
    low, high = record.bounds.low, record.bounds.high
    scale = [t for t in ticks(low, high, 8) if low <= t <= high]
    parts, y = [_legend(record, positions)], 34.0
    for arch in archs:
        mine = [(what, rows) for (a, what), rows in subjects.items() if a == arch]
        bottom = y + HEAD + ROW * len(mine)
        for tick in scale:
            x = _x(record, tick)
            parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{y + HEAD}" y2="{bottom}"/>')
        parts.append(f'<text class="head" x="8" y="{y + 17}">{escape(arch)}</text>')
        for number, (what, rows) in enumerate(mine):
            parts += _row(record, what, rows, positions, y + HEAD + ROW * (number + 0.5))
        y = bottom + GAP
    y -= GAP
    for tick in scale:
        parts.append(
            f'<text class="quiet" x="{_x(record, tick)}" y="{y + 18}" text-anchor="middle">'
            f"{tick:g}{' MiB' if tick == scale[-1] else ''}</text>"
        )
    height = y + AXIS
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        f'width="{WIDTH}" height="{height:g}" role="img" aria-label="RAM that each test takes">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _row(
    record: ThresholdRecord,
    what: str,
    rows: dict[int, ThresholdRow],
    positions: Sequence[int],
    y: float,
) -> Iterator[str]:
    yield f'<text x="8" y="{y + 4.5}">{escape(one_line(what, 34))}</text>'
    sizes = [rows[p].found.mib for p in positions if p in rows]
    places = [_x(record, mib) for mib in sizes if mib is not None]
    if len(places) > 1:
        ends = f'x1="{min(places)}" x2="{max(places)}"'
        yield f'<line class="move" {ends} y1="{y}" y2="{y}"/>'
    for position in positions:
        if position not in rows:
            continue
        found, look = rows[position].found, _look(position, positions)
        title = f"<title>{escape(one_line(rows[position].text, 300))}</title>"
        if found.mib is None:
            x = WIDTH - RIGHT + 22 + 20 * positions.index(position)
            yield f'<text class="none" x="{x}" y="{y + 4.5}">✗{position}{title}</text>'
        else:
            # Where two fall together the later one is smaller, so that both are to be seen.
            radius = 7 - 3 * positions.index(position) / max(1, len(positions) - 1)
            place = f'cx="{_x(record, found.mib)}" cy="{y}"'
            yield f'<circle class="{look}" {place} r="{radius:g}">{title}</circle>'


def _legend(record: ThresholdRecord, positions: Sequence[int]) -> str:
    x, parts = 8, []
    for position in positions:
        text = "base" if position == 0 else f"position {position}"
        parts.append(f'<circle class="{_look(position, positions)}" cx="{x + 6}" cy="14" r="6"/>')
        parts.append(f'<text class="quiet" x="{x + 18}" y="18">{text}</text>')
        x += 34 + 7 * len(text)
    text = f"✗: does not pass with {record.bounds.high} MiB"
    parts.append(f'<text class="quiet" x="{x + 8}" y="18">{text}</text>')
    return "".join(parts)


def _look(position: int, positions: Sequence[int]) -> str:
    if position == positions[-1]:
        return "last"
    return "first" if position == positions[0] else "mid"


def _x(record: ThresholdRecord, mib: float) -> float:
    low, high = record.bounds.low, record.bounds.high
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (mib - low) / max(1, high - low), 1)


def _positions(record: ThresholdRecord) -> tuple[int, ...]:
    return tuple(sorted({row.position for row in record.rows}))


def _by_subject(record: ThresholdRecord) -> dict[tuple[str, str], dict[int, ThresholdRow]]:
    found: dict[tuple[str, str], dict[int, ThresholdRow]] = {}
    for row in record.rows:
        found.setdefault((row.arch, row.what), {})[row.position] = row
    return found


def _short(found: Threshold) -> str:
    text = f"{found.mib}M" if found.mib is not None else "-"
    return text + ("?" if found.doubtful or not found.finished else "")


def _moved(rows: dict[int, ThresholdRow], positions: Sequence[int]) -> str:
    """Say how far the threshold moved from the first position to the last."""
    ends = [rows[p].found for p in (positions[0], positions[-1]) if p in rows]
    if len(positions) < 2 or len(ends) < 2 or not all(found.finished for found in ends):
        return ""
    before, after = (found.mib for found in ends)
    if before == after:
        return ""
    if before is None:
        return f"passes from {after}M on"
    return "passes no more" if after is None else f"{after - before:+d}M"


def _lines(record: ThresholdRecord, picture: str) -> Iterator[str]:
    bounds, positions = record.bounds, _positions(record)
    yield f"# RAM that {record.series} takes"
    yield ""
    yield (
        f"The smallest RAM with which each guest test passes {bounds.repeats} of "
        f"{bounds.repeats} times, over {record.base} ({record.tree_version}), looked for between "
        f"{bounds.low} and {bounds.high} MiB in steps of {bounds.step}. "
        '"boot" is whether the kernel comes up; a dash: not even with the largest.'
    )
    if picture:
        yield ""
        yield f"![thresholds by test, position and architecture]({picture})"
    yield ""
    yield f"| arch | test | {' | '.join(f'position {p}' for p in positions)} | change |"
    yield f"|---|---|{'---|' * len(positions)}---|"
    for (arch, what), rows in _by_subject(record).items():
        cells = " | ".join(_short(rows[p].found) if p in rows else "" for p in positions)
        yield f"| {arch} | {md_cell(what)} | {cells} | {_moved(rows, positions)} |"
    yield ""
    yield "Result with the next smaller size, or with the largest one where none was enough:"
    yield ""
    for row in record.rows:
        if row.found.mib is None or row.found.why:
            text = say(row.found)
            text += f"; below: {row.found.why}" if row.found.mib is not None else ""
            yield f"- {row.arch}, position {row.position}, {md_cell(row.what)}: {md_cell(text)}"
