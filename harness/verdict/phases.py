# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel did before and after a test: its log, its splats, and how the guest was lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.model.results import Ended, Phase, Splat
from harness.model.values import Verdict
from harness.verdict.log_facts import LogFacts, read_log
from harness.verdict.splat import is_death

_INIT_EXITED = re.compile(r"Attempted to kill init! exitcode=0x0000[0-9a-f]{2}00\b")


def read_phases(phases: Iterable[Phase]) -> tuple[LogFacts, ...]:
    """Return what the log of each of *phases* says; lines of splats are those of :func:`log_of`."""
    read = []
    above = 1  # lines of the whole log, the heading of the phase included
    for phase in phases:
        facts = read_log(phase.log)
        splats = (replace(s, line=above + s.line, case="", when=phase.when) for s in facts.splats)
        read.append(replace(facts, splats=tuple(splats)))
        above += len(phase.log) + 1
    return tuple(read)


def log_of(phases: Iterable[Phase]) -> tuple[str, ...]:
    """Return the kernel log of *phases*, each under a heading."""
    lines = list[str]()
    for phase in phases:
        lines += (f"[harness: {phase.when}]", *phase.log)
    return tuple(lines)


def eventful(phases: Sequence[Phase]) -> bool:
    """Return whether the guest was lost, or a splat printed, in any of *phases*."""
    lost = any(phase.ended is not Ended.DONE for phase in phases)
    return lost or any(facts.splats for facts in read_phases(phases))


def ends_of(phases: Iterable[Phase], logs: Iterable[LogFacts]) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdict and the reason of each of *phases* in which the guest was lost.

    ``logs`` are theirs, by :func:`read_phases`.
    """
    for phase, facts in zip(phases, logs, strict=True):
        match phase.ended:
            case Ended.DONE:
                continue
            case Ended.DIED:
                text = death(phase.when, facts.splats, phase.reason)
            case Ended.SILENT:
                text = f"no answer {phase.when}: {phase.reason}"
            case _:
                text = f"{phase.reason}, {phase.when}"
        yield verdict_of_end(phase.ended, facts.splats), text


def verdict_of_end(ended: Ended, splats: Sequence[Splat]) -> Verdict:
    """Return the verdict of a case without a result, or of a test without any."""
    match ended:
        case Ended.DIED:
            return Verdict.MISS if _init_exited(splats) else Verdict.FAIL
        case Ended.SILENT | Ended.STUCK:
            return Verdict.FAIL
        case Ended.LOST | Ended.UNTRIED:
            return Verdict.MISS
    return Verdict.ERROR


def death(when: str, splats: Sequence[Splat], reason: str) -> str:
    """Return what the guest died of, by *splats*, or *reason* where they do not tell."""
    deaths = [splat.title for splat in splats if is_death(splat)]
    cause = deaths[0] if deaths else reason or "without a word"
    who = "the guest's init died" if _init_exited(splats) else "the kernel died"
    return f"{who} {when}: {cause}"


def _init_exited(splats: Sequence[Splat]) -> bool:
    """Did the guest die because our PID 1 exited, and of nothing else?"""
    deaths = [splat.title for splat in splats if is_death(splat)]
    return len(deaths) == 1 and bool(_INIT_EXITED.search(deaths[0]))
