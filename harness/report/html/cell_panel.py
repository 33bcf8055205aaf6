# SPDX-License-Identifier: GPL-2.0-only
"""The panel of a cell on the HTML page; each kind of evidence is a :class:`Pane`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from harness.guest import samples
from harness.model.results import CaseResult, CellResult, KernelFault, KernelRecord, RunRecord
from harness.model.text import clip, one_line
from harness.model.values import Verdict
from harness.report.excerpts import LINKED, Excerpt, Exhibit, exhibits, inside, read_excerpt
from harness.report.failures import FailedCase, failed_cases
from harness.report.html.plots import Figure, make_figure
from harness.report.html.timeline import parse_timeline
from harness.report.matrix import difference, duration
from harness.report.measures import Compared, side_by_side
from harness.report.reproduce import run_command, shell_command
from harness.report.splat_text import kill_of, stack_of, where_of

SAMPLES_LIMIT = 8 * 1024 * 1024  # bytes of a cell's samples; of a longer file the two ends
FEW_LINES = 8  # diagnostics of a case that are not folded up
TEXT_LIMIT = 16 * 1024  # characters of one splat, or of the diagnostics of one case


@dataclass(frozen=True)
class Link:
    """A link to a cell from elsewhere on the page."""

    anchor: str
    result: CellResult
    summary: str


@dataclass(frozen=True)
class Spot:
    """A place of the matrix, empty where there is no verdict."""

    position: int
    view: Link | None
    turned: bool


@dataclass(frozen=True)
class Strip:
    """A row of the matrix within one architecture."""

    arch: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class File:
    """A file of the run folder, as the page shows it."""

    label: str
    name: str  # path below the run folder
    href: str  # empty where there is no such file
    excerpt: Excerpt | None


@dataclass(frozen=True)
class Pane:
    """One tab of a cell's panel: files, or a text of its own."""

    label: str
    files: tuple[File, ...] = ()
    text: str | None = None
    listed: bool = False  # files folded up under their names
    figure: Figure | None = None


@dataclass(frozen=True)
class CaseView:
    """A case, with its diagnostics as one text."""

    name: str
    verdict: Verdict
    expected: Verdict
    as_expected: bool
    directive: str
    diagnostics: str
    folded: int  # how many lines of diagnostics, where they are folded up; else 0


@dataclass(frozen=True)
class SplatView:
    """A splat; ``open`` where it may explain a difference."""

    kind: str
    title: str
    text: str
    line: int
    open: bool
    where: str  # in the source; "" if unknown
    when: str
    kill: str  # of an OOM kill: RAM of the victim, reason, free memory
    stack: tuple[str, ...]


@dataclass(frozen=True)
class RunsView:
    """All runs of a repeated cell."""

    text: str
    flaky: bool
    links: tuple[Link, ...]  # to one run of each kind, and each that is not as expected


@dataclass(frozen=True)
class CellView:
    """Everything in the panel of one cell."""

    anchor: str
    result: CellResult
    suffix: str  # of the test's name: its conditions
    difference: str  # empty where it is as expected
    reason: str
    kernel: str
    guest: str
    cases: tuple[CaseView, ...]
    splats: tuple[SplatView, ...]
    panes: tuple[Pane, ...]
    kernel_files: tuple[File, ...]
    strips: tuple[Strip, ...]
    runs: RunsView | None
    fault: KernelFault | None = None  # of its kernel, fit to be shown
    measured: tuple[int, ...] = ()  # positions that `measures` has a value of
    measures: tuple[Compared, ...] = ()
    failed: tuple[FailedCase, ...] = ()
    run_again: str = ""  # the command
    shell: str = ""


def cell_view(
    folder: Path,
    record: RunRecord,
    link: Link,
    suffix: str,
    strips: tuple[Strip, ...],
    kernel: KernelRecord | None,
    limit: int,
    runs: RunsView | None = None,
) -> CellView:
    """Work out the panel of the cell behind *link*; at most *limit* bytes of each of its logs."""
    result = link.result
    columns = _columns(result, strips)
    return CellView(
        anchor=link.anchor,
        result=result,
        suffix=suffix,
        difference="" if result.as_expected else difference(result),
        reason=one_line(result.reason, 1000),
        kernel=", ".join(filter(None, (kernel.version, kernel.compiler))) if kernel else "none",
        guest=_guest(result),
        cases=tuple(_case_view(case) for case in result.cases),
        splats=tuple(
            SplatView(
                s.kind.value,
                one_line(s.title),
                clip(s.text, TEXT_LIMIT),
                s.line,
                not result.as_expected,
                one_line(where_of(s)),
                one_line(s.when),
                kill_of(s),
                stack_of(s),
            )
            for s in result.splats
        ),
        panes=_panes(folder, result, limit),
        kernel_files=(kernel_files(folder, kernel) if kernel else ()) + _linked(folder, result),
        strips=strips,
        runs=runs,
        fault=_fault(result.fault),
        measured=tuple(columns),
        measures=side_by_side(columns.values()),
        failed=failed_cases(result),
        run_again=run_command(record, result.cell),
        shell=shell_command(record, result),
    )


def _fault(fault: KernelFault | None) -> KernelFault | None:
    if fault is None:
        return None
    what, place = one_line(fault.what, 1000), one_line(fault.place)
    return replace(fault, what=what, place=place, detail=clip(fault.detail, TEXT_LIMIT))


def _columns(result: CellResult, strips: Sequence[Strip]) -> dict[int, tuple[CaseResult, ...]]:
    """Return the cases of *result* and of the same test at the other positions, by position."""
    cell = result.cell
    spots = [spot for strip in strips if strip.arch == cell.arch for spot in strip.spots]
    found = {spot.position: spot.view.result.cases for spot in spots if spot.view}
    return dict(sorted({**found, cell.position: result.cases}.items()))


def _case_view(case: CaseResult) -> CaseView:
    diagnostics = clip("\n".join(case.diagnostics), TEXT_LIMIT)
    lines = diagnostics.count("\n") + 1
    return CaseView(
        name=one_line(case.name),
        verdict=case.verdict,
        expected=case.expected,
        as_expected=case.as_expected,
        directive=case.directive,
        diagnostics=diagnostics,
        # An OOM report in a case that is as expected must not push the plots out of sight.
        folded=lines if case.as_expected and lines > FEW_LINES else 0,
    )


def _guest(result: CellResult) -> str:
    cell = result.cell
    words = [f"{cell.ram_mib} MiB", cell.base, *cell.config]
    words += [] if cell.load == "none" else [f"load {cell.load}"]
    boot = "clone of a booted template" if result.boot == "clone" else f"{result.boot} boot"
    words += [boot, duration(result.seconds)]
    words += ["verdict of an earlier run with the same content"] if result.reused else []
    words += [result.qemu_version] if result.qemu_version else []
    return ", ".join(words)


def _panes(folder: Path, result: CellResult, limit: int) -> tuple[Pane, ...]:
    panes: list[Pane] = []
    artifacts = []
    for exhibit in exhibits(result.evidence):
        if Path(exhibit.name).name == samples.NAME:
            panes[:0] = _plots(folder, exhibit)  # people look at pictures first
        elif exhibit.artifact:
            artifacts.append(_file(folder, exhibit, limit))
        elif exhibit.label in LINKED or (exhibit.label == "argv" and result.argv):
            continue  # shown elsewhere
        else:
            panes.append(Pane(exhibit.label, (_file(folder, exhibit, limit),)))
    if result.argv:
        panes.append(Pane("argv", text=command_lines(result.argv)))
    if artifacts:
        panes.append(Pane("artifacts", tuple(artifacts), listed=True))
    return tuple(panes)


def _plots(folder: Path, exhibit: Exhibit) -> list[Pane]:
    excerpt = read_excerpt(folder, exhibit.name, SAMPLES_LIMIT)
    figure = make_figure(parse_timeline(excerpt.text)) if excerpt else None
    if figure is None:
        return []
    file = File(exhibit.label, exhibit.name, href_of(exhibit.name), None)
    return [Pane("plots", (file,), figure=figure)]


def _linked(folder: Path, result: CellResult) -> tuple[File, ...]:
    return tuple(
        File(exhibit.label, exhibit.name, href_of(exhibit.name), None)
        for exhibit in exhibits(result.evidence)
        if exhibit.label in LINKED and inside(folder, exhibit.name)
    )


def _file(folder: Path, exhibit: Exhibit, limit: int) -> File:
    excerpt = read_excerpt(folder, exhibit.name, limit)
    return File(exhibit.label, exhibit.name, href_of(exhibit.name) if excerpt else "", excerpt)


def href_of(name: str) -> str:
    """Return *name* as a relative link; whatever it holds, it leads below the run folder."""
    return quote(name, errors="replace")


def command_lines(argv: Sequence[str]) -> str:
    """Write *argv* as a shell would read it, each option on a line of its own."""
    lines: list[str] = []
    for word in argv:
        quoted = shlex.quote(word)
        if lines and not word.startswith("-"):
            lines[-1] += f" {quoted}"
        else:
            lines.append(quoted)
    return " \\\n  ".join(lines)


def kernel_files(folder: Path, kernel: KernelRecord) -> tuple[File, ...]:
    """Return the links to config and build log of *kernel*, those that are there."""
    files = (("config", kernel.config), ("build log", kernel.build_log))
    return tuple(
        File(label, name, href_of(name), None) for label, name in files if inside(folder, name)
    )
