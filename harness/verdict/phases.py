# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel did around a test, as text, as splats, and as ends that mean something; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.model.results import Ended, Phase, Splat
from harness.model.values import Verdict
from harness.verdict.splat import find_splats, is_death

_INIT_EXITED = re.compile(r"Attempted to kill init! exitcode=0x0000[0-9a-f]{2}00\b")


def splats_in(phases: Iterable[Phase]) -> tuple[tuple[Splat, ...], ...]:
    """Return the splats of each of *episodes*; their lines are those of :func:`log_of`."""
    found = []
    above = 1  # lines of the log, the episode's heading among them
    for phase in phases:
        splats = find_splats(phase.log)
        own = (replace(splat, line=above + splat.line, when=phase.when) for splat in splats)
        found.append(tuple(own))
        above += len(phase.log) + 1
    return tuple(found)


def log_of(phases: Iterable[Phase]) -> tuple[str, ...]:
    """Return all that the kernel said in *episodes*, under headings."""
    lines = list[str]()
    for phase in phases:
        lines += (f"[harness: {phase.when}]", *phase.log)
    return tuple(lines)


def eventful(phases: Sequence[Phase]) -> bool:
    """Whether anything happened in *episodes* that somebody may want to look up."""
    return any(e.ended is not Ended.DONE for e in phases) or any(splats_in(phases))


def ends_of(phases: Iterable[Phase]) -> Iterator[tuple[Verdict, str]]:
    """Yield what the bad ends among *episodes* mean, and say them in words."""
    for phase in phases:
        splats = find_splats(phase.log) if phase.ended is Ended.DIED else ()
        match phase.ended:
            case Ended.DONE:
                continue
            case Ended.DIED:
                text = death(phase.when, splats, phase.reason)
            case Ended.SILENT:
                text = f"no answer {phase.when}: {phase.reason}"
            case _:
                text = f"{phase.reason}, {phase.when}"
        yield verdict_of_end(phase.ended, splats), text


def verdict_of_end(ended: Ended, splats: Sequence[Splat]) -> Verdict:
    """Return what a case that has no result gets, or a test that has none."""
    match ended:
        case Ended.DIED:
            return Verdict.MISS if _ours(splats) else Verdict.FAIL
        case Ended.SILENT | Ended.STUCK:
            return Verdict.FAIL
        case Ended.LOST | Ended.UNTRIED:
            return Verdict.MISS
    return Verdict.ERROR


def death(when: str, splats: Sequence[Splat], reason: str) -> str:
    """Say of what the guest died, by *splats*, or *reason* where they do not tell."""
    deaths = [splat.title for splat in splats if is_death(splat)]
    said = deaths[0] if deaths else reason or "without a word"
    who = "the guest's init died" if _ours(splats) else "the kernel died"
    return f"{who} {when}: {said}"


def _ours(splats: Sequence[Splat]) -> bool:
    """Did the guest die because our PID 1 came to its end, and of nothing else?"""
    deaths = [splat.title for splat in splats if is_death(splat)]
    return len(deaths) == 1 and bool(_INIT_EXITED.search(deaths[0]))
