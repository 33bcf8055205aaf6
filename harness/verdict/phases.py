# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel did around a test, as text, as splats, and as ends that mean something; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.model.results import Ended, Episode, Splat
from harness.model.values import Verdict
from harness.verdict.splat import find_splats, is_death

_INIT_EXITED = re.compile(r"Attempted to kill init! exitcode=0x0000[0-9a-f]{2}00\b")


def splats_in(episodes: Iterable[Episode]) -> tuple[tuple[Splat, ...], ...]:
    """Return the splats of each of *episodes*; their lines are those of :func:`log_of`."""
    found = []
    above = 1  # lines of the log, the episode's heading among them
    for episode in episodes:
        splats = find_splats(episode.log)
        own = (replace(splat, line=above + splat.line, when=episode.when) for splat in splats)
        found.append(tuple(own))
        above += len(episode.log) + 1
    return tuple(found)


def log_of(episodes: Iterable[Episode]) -> tuple[str, ...]:
    """Return all that the kernel said in *episodes*, under headings."""
    lines = list[str]()
    for episode in episodes:
        lines += (f"[harness: {episode.when}]", *episode.log)
    return tuple(lines)


def eventful(episodes: Sequence[Episode]) -> bool:
    """Whether anything happened in *episodes* that somebody may want to look up."""
    return any(e.ended is not Ended.DONE for e in episodes) or any(splats_in(episodes))


def ends_of(episodes: Iterable[Episode]) -> Iterator[tuple[Verdict, str]]:
    """Yield what the bad ends among *episodes* mean, and say them in words."""
    for episode in episodes:
        splats = find_splats(episode.log) if episode.ended is Ended.DIED else ()
        match episode.ended:
            case Ended.DONE:
                continue
            case Ended.DIED:
                text = death(episode.when, splats, episode.reason)
            case Ended.SILENT:
                text = f"no answer {episode.when}: {episode.reason}"
            case _:
                text = f"{episode.reason}, {episode.when}"
        yield verdict_of_end(episode.ended, splats), text


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
