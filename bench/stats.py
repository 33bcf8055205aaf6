# SPDX-License-Identifier: GPL-2.0-only
"""Medians, their ratio, and how sure it is; pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """The spread of one figure over its runs."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def summary(samples: Sequence[float]) -> Summary:
    """Return minimum, median and maximum of *samples*, of which there must be some."""
    return Summary(min(samples), median(samples), max(samples))


def estimate(ours: Sequence[float], theirs: Sequence[float] = ()) -> Estimate:
    """Return the ratio of the medians, or without *theirs* the median of *ours*.

    The interval is bootstrapped: the same is asked of samples drawn anew, with replacement, and
    the middle 95 % of the answers are kept. One sample tells nothing of its spread: low and high
    are then the value itself.

    Raises:
        ValueError: there is no sample, or a ratio to nothing is asked for.
    """

    def ask(draw: Callable[[Sequence[float]], Sequence[float]]) -> float:
        value = median(draw(ours))
        return value / median(draw(theirs)) if theirs else value

    if not ours or (theirs and min(theirs) <= 0):
        raise ValueError("nothing to compare: no sample, or one that is not above zero")
    source = random.Random(0)  # the same samples give the same interval
    answers = sorted(ask(lambda s: source.choices(s, k=len(s))) for _ in range(RESAMPLES))
    cut = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Estimate(ask(lambda s: s), answers[cut], answers[-1 - cut])
