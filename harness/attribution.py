# SPDX-License-Identifier: GPL-2.0-only
"""Which case a splat belongs to, by its place in the log; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.ktap import KtapResult, KtapTest
from harness.record import Splat

_UNNAMED = re.compile(r"case \d+$")  # how KTAP without a name for what was running is read


def attributed(splats: Sequence[Splat], ktap: KtapResult) -> tuple[Splat, ...]:
    """Return *splats*, each with the case of *ktap*, of the same log, that was running."""
    # A suite that failed by itself ran nothing while its cases did not.
    leaves = [(name, test) for name, test in ktap.leaves() if not test.tests]
    return tuple(_attributed(splat, ktap, leaves) for splat in splats)


def _attributed(splat: Splat, ktap: KtapResult, leaves: list[tuple[str, KtapTest]]) -> Splat:
    if not ktap.began or splat.line < ktap.began:
        return replace(splat, case="", when="before the first case")
    for name, test in leaves:
        # KUnit prints what a case says before its result: all since the last one is its own.
        if not test.finished or test.ended > splat.line:
            return replace(splat, case=name, when=f"in case {name}")
    after = f"after the last case, {leaves[-1][0]}" if leaves else "after the last case"
    return replace(splat, case="", when=after)


def name_running(ktap: KtapResult, name: str) -> KtapResult:
    """Return *ktap* with the case that has no result called *name*, if it has no name so far."""
    if not name:
        return ktap
    return replace(ktap, tests=_named(ktap.tests, name))


def _named(tests: tuple[KtapTest, ...], name: str) -> tuple[KtapTest, ...]:
    taken = {test.name for test in tests}
    return tuple(
        replace(test, tests=_named(test.tests, name))
        if test.tests
        else replace(test, name=name)
        if not test.finished and _UNNAMED.match(test.name) and name not in taken
        else test
        for test in tests
    )
