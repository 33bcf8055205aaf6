# SPDX-License-Identifier: GPL-2.0-only
"""The profile of a boot in a terminal: phases as bars on a time line, slowest initcalls."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.terminal.table import fit
from harness.verdict.boot_profile import BootProfile

BAR = 40  # columns of the time line
SLOWEST = 12  # initcalls shown
_COLOURS = ("blue", "white", "cyan", "magenta", "yellow", "green")


def show_profile(profile: BootProfile, console: Console) -> None:
    """Print *profile* on *console*."""
    ascii_only = console.options.ascii_only
    title = f"{profile.arch}, Linux {profile.release}: ready after {_ms(profile.ready_s)} ms"
    console.print(
        Group(
            Text(fit(title, ascii_only=ascii_only), style="bold"),
            _phases(profile, ascii_only=ascii_only),
            *(Text(f"  {phase.name}: {phase.note}", style="dim") for phase in profile.phases),
            _initcalls(profile, ascii_only=ascii_only),
        )
    )


def _phases(profile: BootProfile, *, ascii_only: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("phase")
    table.add_column("ms", justify="right")
    table.add_column("%", justify="right")
    table.add_column("from launch to ready", min_width=BAR)
    begun = 0.0
    for index, phase in enumerate(profile.phases):
        table.add_row(
            phase.name,
            _ms(phase.seconds),
            f"{100 * phase.seconds / profile.ready_s:.0f}" if profile.ready_s else "",
            Text(
                _bar(begun, phase.seconds, profile.ready_s, ascii_only=ascii_only),
                style=_COLOURS[index % len(_COLOURS)],
            ),
        )
        begun += phase.seconds
    if profile.clone_s is not None:
        bar = _bar(0.0, profile.clone_s, profile.ready_s, ascii_only=ascii_only)
        share = f"{100 * profile.clone_s / profile.ready_s:.0f}" if profile.ready_s else ""
        table.add_row("(a clone)", _ms(profile.clone_s), share, Text(bar, style="bold green"))
    return table


def _initcalls(profile: BootProfile, *, ascii_only: bool) -> RenderableType:
    shown = profile.initcalls[:SLOWEST]
    table = Table(box=None, pad_edge=False)
    table.add_column("slowest initcalls")
    table.add_column("ms", justify="right")
    table.add_column("", min_width=BAR)
    longest = shown[0].seconds if shown else 0.0
    for call in shown:
        bar = _bar(0.0, call.seconds, longest, ascii_only=ascii_only)
        table.add_row(
            fit(call.name, ascii_only=ascii_only), _ms(call.seconds), Text(bar, style="magenta")
        )
    return table


def _bar(begun: float, seconds: float, whole: float, *, ascii_only: bool) -> str:
    """Return the part of a line of BAR columns that *seconds* from *begun* on are of *whole*."""
    if whole <= 0.0:
        return ""
    start, end = (round(BAR * point / whole) for point in (begun, begun + seconds))
    # Any time at all is visible.
    block = ("#" if ascii_only else "█") * (end - start) or ("|" if ascii_only else "▏")
    return " " * min(start, BAR - 1) + block if seconds > 0.0 else ""


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"
