# SPDX-License-Identifier: GPL-2.0-only
"""The view model of the HTML page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.model.results import CellResult, KernelRecord, RunRecord, Stop
from harness.model.text import clip, one_line
from harness.model.values import Cell, Verdict
from harness.report.analysis.coverage_text import CoverageView, coverage_view
from harness.report.excerpts import LOG_LIMIT
from harness.report.html.cell_panel import (
    TEXT_LIMIT,
    CellView,
    File,
    Link,
    RunsView,
    Spot,
    Strip,
    cell_view,
    kernel_files,
)
from harness.report.html.patch_view import PatchView, patch_view
from harness.report.matrix import (
    Matrix,
    Row,
    differences,
    duration,
    headline,
    lay_out,
    must_pass,
    verdict_text,
)
from harness.report.patch_summary import patch_entries
from harness.verdict.flaky import Tally, tallies

PAGE_BUDGET = 24 * 1024 * 1024  # bytes of logs in one page; more makes browsers slow
LEAST_LOG = 4 * 1024  # bytes of each log of a calm cell, however many cells there are


@dataclass(frozen=True)
class Line:
    """A row of the matrix; ``first`` counts the rows of its test, 0 for all but the first."""

    row: Row
    conditions: str
    first: int
    blocks: tuple[tuple[Spot, ...], ...]


@dataclass(frozen=True)
class LegendEntry:
    """A verdict, as expected or not (odd), and how many cells of the page have it."""

    verdict: Verdict
    odd: bool
    count: int


@dataclass(frozen=True)
class RepeatView:
    """A repeated cell; the ends of its rate's 95 % interval in percent."""

    tally: Tally
    link: Link
    what: str
    low: float
    high: float


@dataclass(frozen=True)
class KernelView:
    """A line of the table of kernels; ``first`` as in :class:`Line`."""

    record: KernelRecord
    first: int
    compiler: str  # of all kernels of the architecture, where it is the same
    own_compiler: str  # of this one, where they differ
    commit: str  # short id of the last patch applied, or of the base
    took: str
    warnings: str
    error_line: str
    error_more: str
    error_from: str  # who says `error_more`
    files: tuple[File, ...]


@dataclass(frozen=True)
class Page:
    """Everything on the page."""

    series: str
    headline: str
    facts: tuple[str, ...]
    matrix: Matrix
    lines: tuple[Line, ...]
    legend: tuple[LegendEntry, ...]
    any_turn: bool
    differences: tuple[tuple[CellView, str], ...]  # and in how many runs, of a repeated cell
    repeats: tuple[RepeatView, ...]
    patches: tuple[PatchView, ...]
    kernels: tuple[KernelView, ...]
    run_facts: tuple[tuple[str, str], ...]
    views: tuple[CellView, ...]
    titles: tuple[str, ...]
    coverage: CoverageView | None = None

    def title_of(self, position: int) -> str:
        """Return the title of the last patch applied at *position*."""
        if not self.titles:
            return "the kernel as it is"
        if position == 0:
            return "base, without any patch of the series"
        return self.titles[position - 1] if position <= len(self.titles) else f"patch {position}"


def make_page(record: RunRecord, folder: Path) -> Page:
    """Return the page of *record*, whose run is in *folder*."""
    matrix = lay_out(record.cells, record.plan.arch)
    repeated = tallies(record)
    shown = _shown(matrix, record.cells, repeated)
    links = _links(matrix, shown)
    runs = {run.cell: tally for tally in repeated for run in tally.telling}
    lines = tuple(_line(matrix, links, row) for row in matrix.rows)
    limit = _calm_limit(shown)
    strips = {line.row: _strips(matrix, line) for line in lines}
    views = tuple(
        cell_view(
            folder,
            record,
            links[result.cell],
            matrix.suffix(Row.of(result.cell)),
            strips[Row.of(result.cell)],
            _kernel_of(record, result),
            limit if result.as_expected else LOG_LIMIT,
            _runs_view(runs[result.cell], links) if result.cell in runs else None,
        )
        for result in shown
    )
    by_result = {id(view.result): view for view in views}
    return Page(
        series="" if record.unpatched else record.name,
        headline=headline(record),
        facts=_facts(record, matrix),
        matrix=matrix,
        lines=lines,
        repeats=_repeat_views(matrix, repeated, links),
        legend=_legend(matrix.results.values()),
        any_turn=any(s.turned for line in lines for block in line.blocks for s in block),
        differences=tuple(
            (by_result[id(d.result)], d.times + d.others) for d in differences(record)
        ),
        patches=tuple(patch_view(folder, record, entry) for entry in patch_entries(record)),
        kernels=_kernel_views(folder, record),
        run_facts=_run_facts(record),
        views=views,
        titles=record.patch_titles,
        coverage=coverage_view(folder),
    )


# ---------------------------------------------------------------- matrix


def _shown(
    matrix: Matrix, results: Sequence[CellResult], repeated: Sequence[Tally]
) -> tuple[CellResult, ...]:
    """Return the results that get a panel: of a repeated cell those in ``Tally.telling``."""
    telling = {id(run) for tally in repeated for run in tally.telling}
    telling |= {id(result) for result in matrix.results.values()}
    return tuple(result for result in results if id(result) in telling)


def _links(matrix: Matrix, results: Sequence[CellResult]) -> dict[Cell, Link]:
    links: dict[Cell, Link] = {}
    taken: Counter[str] = Counter()
    for result in results:
        anchor = re.sub(r"[^\w./+@-]", "_", result.cell.id)  # an id must hold no space
        taken[anchor] += 1
        if taken[anchor] > 1:
            anchor += f"~{taken[anchor]}"
        links[result.cell] = Link(anchor, result, _summary(matrix, result))
    return links


def _summary(matrix: Matrix, result: CellResult) -> str:
    cell = result.cell
    test = cell.test + matrix.suffix(Row.of(cell))
    return f"{test}, {cell.arch}, position {cell.position}: {verdict_text(result)}"


def _line(matrix: Matrix, links: dict[Cell, Link], row: Row) -> Line:
    def link(arch: str, position: int) -> Link | None:
        result = matrix.at(row, arch, position)
        return links[result.cell] if result else None

    index = matrix.rows.index(row)
    same = [r for r in matrix.rows if r.test == row.test]
    opens = index == 0 or matrix.rows[index - 1].test != row.test
    return Line(
        row=row,
        conditions=matrix.conditions(row),
        first=len(same) if opens else 0,
        blocks=tuple(
            tuple(
                Spot(position, link(arch, position), matrix.turned(row, arch, position))
                for position in matrix.positions
            )
            for arch in matrix.archs
        ),
    )


def _strips(matrix: Matrix, line: Line) -> tuple[Strip, ...]:
    return tuple(Strip(arch, block) for arch, block in zip(matrix.archs, line.blocks, strict=True))


def _runs_view(tally: Tally, links: Mapping[Cell, Link]) -> RunsView:
    text = tally.text
    if alike := tally.runs - len(tally.telling):
        text += f"; {alike} more like the first are in run.json"
    return RunsView(text, tally.flaky, tuple(links[run.cell] for run in tally.telling))


def _repeat_views(
    matrix: Matrix, repeated: Sequence[Tally], links: Mapping[Cell, Link]
) -> tuple[RepeatView, ...]:
    """Return a line for each repeated cell, flaky ones first."""

    def line(tally: Tally) -> RepeatView:
        low, high = (round(100 * end, 1) for end in tally.interval)
        what = tally.cell.test + matrix.suffix(Row.of(tally.cell))
        result = matrix.at(Row.of(tally.cell), tally.cell.arch, tally.cell.position)
        return RepeatView(tally, links[(result or tally.telling[0]).cell], what, low, high)

    worst_first = sorted(repeated, key=lambda t: (not t.flaky, t.as_expected / t.runs))
    return tuple(line(tally) for tally in worst_first)


def _legend(results: Iterable[CellResult]) -> tuple[LegendEntry, ...]:
    looks = Counter((r.verdict, not r.as_expected) for r in results)
    order = [Verdict.PASS, *(v for v in Verdict if v is not Verdict.PASS)]
    return tuple(
        LegendEntry(verdict, odd, looks[verdict, odd])
        for odd in (False, True)
        for verdict in order
        if looks[verdict, odd]
    )


def _calm_limit(results: Sequence[CellResult]) -> int:
    """Return how much of each log of a cell that is as expected the page can hold, in bytes."""
    logs = sum(len(result.evidence) for result in results)
    return max(LEAST_LOG, min(LOG_LIMIT, PAGE_BUDGET // max(1, logs)))


def _kernel_of(record: RunRecord, result: CellResult) -> KernelRecord | None:
    where = (result.cell.arch, result.cell.position)
    return next((k for k in record.kernels if (k.arch, k.position) == where), None)


# ---------------------------------------------------------------- kernels and run


_SAYS = {
    Stop.APPLY: "what git says",
    Stop.BUILD: "compiler output",
    Stop.BOOT: "end of the console",
}


def _kernel_views(folder: Path, record: RunRecord) -> tuple[KernelView, ...]:
    archs = [*record.plan.arch, *sorted({k.arch for k in record.kernels})]
    ordered = sorted(record.kernels, key=lambda k: (archs.index(k.arch), k.position))
    counts = Counter(k.arch for k in ordered)
    seen: set[str] = set()
    views = []
    for kernel in ordered:
        first = 0 if kernel.arch in seen else counts[kernel.arch]
        seen.add(kernel.arch)
        compilers = {k.compiler for k in ordered if k.arch == kernel.arch and k.compiler}
        same = len(compilers) == 1
        error_line, _, error_more = kernel.error.partition("\n")
        if kernel.fault is not None:
            error_line, error_more = kernel.fault.what, kernel.fault.detail
        views.append(
            KernelView(
                kernel,
                first,
                compiler=next(iter(compilers)) if same else "",
                own_compiler="" if same else kernel.compiler,
                commit=record.commit_at(kernel.position),
                took=duration(kernel.seconds),
                warnings=clip("\n".join(kernel.warnings), TEXT_LIMIT),
                error_line=one_line(error_line),
                error_more=clip(error_more, TEXT_LIMIT),
                error_from=_SAYS[kernel.fault.stage] if kernel.fault else "compiler output",
                files=kernel_files(folder, kernel),
            )
        )
    return tuple(views)


def _facts(record: RunRecord, matrix: Matrix) -> tuple[str, ...]:
    count = len(record.cells)
    facts = [f"{count} verdict{'s' if count != 1 else ''}", f"Linux {record.tree_version}"]
    facts += [", ".join(matrix.archs)] if matrix.archs else []
    if record.unpatched:
        facts.append(f"no patch applied{must_pass(record)}")
    elif matrix.positions:
        first, last = matrix.positions[0], matrix.positions[-1]
        whole = matrix.positions == tuple(range(first, last + 1)) and first != last
        listed = ", ".join(map(str, matrix.positions))
        numbers = f"{first} to {last}" if whole else listed
        facts.append(f"position{'s' if first != last else ''} {numbers}")
    return (*facts, duration(record.seconds), _day(record.started))


def _day(started: str) -> str:
    return started.replace("T", " ").replace("+00:00", " UTC")


def _run_facts(record: RunRecord) -> tuple[tuple[str, str], ...]:
    plan = record.plan
    qemu = sorted({r.qemu_version for r in record.cells if r.qemu_version})
    reused = sum(r.reused for r in record.cells)
    facts = (
        ("Run", record.id),
        ("Made by", f"harness {record.about.partition(':')[0]}" if record.about else ""),
        ("Started", f"{_day(record.started)}, took {duration(record.seconds)}"),
        ("Series", ": ".join(dict.fromkeys((plan.series, record.series_title)))),
        ("Tree", f"{record.tree_version} ({plan.base})"),
        ("Origin of the tree", record.tree_origin),
        ("Commit of the base", record.base_commit),
        ("Digest of the tree", record.tree_digest),
        ("Guests", f"{', '.join(f'{ram} MiB' for ram in plan.ram_mib)}, {plan.cpus} CPU"),
        ("Accelerator", plan.accel),
        ("Further config", ", ".join(plan.config)),
        ("Verdicts reused", f"{reused} of {len(record.cells)}" if reused else ""),
        ("QEMU", ", ".join(qemu)),
        ("Host", record.host),
    )
    return tuple((name, one_line(value)) for name, value in facts if value)
