# SPDX-License-Identifier: GPL-2.0-only
"""What the OOM killer took while a test ran, and whose that was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.klog import log_lines
from harness.model import SplatKind
from harness.oom import (
    OomReport,
    Victim,
    comm_of,
    oom_report,
    oom_reports,
    say_request,
    victim_of,
)
from harness.record import Splat


@dataclass(frozen=True)
class Toll:
    """What the OOM killer took."""

    said: Mapping[Victim, tuple[str, ...]]  # of each kill, what makes it another one
    of_loads: frozenset[str]  # the loads that it took tasks of


def toll_of(log: Sequence[str], loads: Collection[str]) -> Toll:
    """Return what was taken by *log*, of a guest where *loads* ran.

    Of the log, not of the splats: of a storm of those not all are kept.
    """
    said: dict[Victim, dict[str, None]] = {}
    tasks: set[str] = set()
    for report in oom_reports(line.text for line in log_lines(log) if not line.quoted):
        whose = victim_of(report, loads)
        said.setdefault(whose, {})[_taken(report, whose)] = None
        tasks |= {report.victim} if whose is Victim.LOAD else set()
    of_loads = frozenset(load for load in loads if comm_of(load) in tasks)
    return Toll({whose: tuple(texts) for whose, texts in said.items()}, of_loads)


def whose_end(splat: Splat, loads: Collection[str]) -> Victim:
    """Return what *splat* tells the end of, if it is an OOM kill."""
    report = oom_report(splat.text) if splat.kind is SplatKind.OOM_KILL else None
    return victim_of(report, loads) if report else Victim.NOBODY


def _taken(report: OomReport, whose: Victim) -> str:
    said = f"the OOM killer took {whose.value}, {report.victim}"
    request = say_request(report)
    return f"{said} ({request})" if request else said
