# SPDX-License-Identifier: GPL-2.0-only
"""Time series of a guest under test, and the events to be marked beside them.

``samples.jsonl`` of a cell holds one JSON object a line: samples, which the guest's sampler sent,
and marks, which have the key "mark". guest-tests/README.md names the figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

# A sample as it was sent: figure → number, or numbers.
Figures = Mapping[str, int | tuple[int, ...]]
NAME = "samples.jsonl"  # in a cell's folder
CLOCK = "at_us"  # the figure that says when, in microseconds since the guest's boot
MAX_FIGURES = 64
_WORD = re.compile(r"([a-z][a-z0-9_]{0,39})=([0-9]{1,20}(?:,[0-9]{1,20}){0,63})")
# Lines of a test: results, plans, diagnostics; neither splats nor other tasks' messages.
SAID = re.compile(r"\s*(?:#|(?:not )?ok \d|K?TAP version|\d\.\.\d)")


def parse_sample(line: bytes) -> Figures | None:
    """Return the figures of a line from the sampler's port; None where it is no sample.

    Words that are none are left out: a guest under test may send anything.
    """
    words = (_WORD.fullmatch(w) for w in line.decode("ascii", "replace").split(" ")[:MAX_FIGURES])
    found = {word[1]: _numbers(word[2]) for word in words if word}
    return found if isinstance(found.get(CLOCK), int) else None


def _numbers(text: str) -> int | tuple[int, ...]:
    numbers = tuple(map(int, text.split(",")))
    return numbers if len(numbers) > 1 else numbers[0]


def sample_json(figures: Figures, begun_us: int) -> str:
    """Return the line of ``samples.jsonl`` for *figures*, in a test that began at *begun_us*."""
    at = figures[CLOCK]
    assert isinstance(at, int)
    rest = {name: value for name, value in figures.items() if name not in (CLOCK, "t")}
    return json.dumps({"t": round((at - begun_us) / 1e6, 6), **rest})
