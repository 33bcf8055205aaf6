# SPDX-License-Identifier: GPL-2.0-only
"""Search for the patch that changes a verdict, given the verdicts of some positions.

Nothing is run here: :func:`next_position` says which position would tell most, the caller finds
out its verdict, and :func:`conclude` says what follows. A position that has no verdict on the
kernel (it did not build, the harness failed, the test broke or was skipped) is stepped around,
as ``git bisect skip`` does, and may leave a range of suspects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.model.errors import BuildError, HarnessError, Interrupted, PatchError, UserError
from harness.model.values import Verdict

Seek = Literal["bad", "fix"]  # the patch that makes the test fail, or the one that makes it pass
GOOD = 0
BAD = 1
UNTESTABLE = 125
ABORT_USER = 129  # 128 and above make `git bisect run` stop
ABORT_INTERRUPTED = 130
ABORT_INFRA = 131


@dataclass(frozen=True)
class Finding:
    """The patch that was sought, as far as the verdicts tell."""

    seek: Seek
    suspects: tuple[int, ...]  # positions one of which is the first with the new verdict
    text: str  # one line for people

    @property
    def position(self) -> int | None:
        """The first position with the new verdict; None where it is not settled."""
        return self.suspects[0] if len(self.suspects) == 1 else None


def next_position(positions: Sequence[int], known: Mapping[int, Verdict], seek: Seek) -> int | None:
    """Return the position to try next; None when nothing more can be learnt.

    ``positions`` are all that may be tried, ascending; ``known`` has those that were.
    """
    untried = [position for position in positions if position not in known]
    old, new = _words(seek)
    settled = [p for p in positions if known.get(p) in (old, new)]
    if not settled or known[settled[0]] is not old:
        # The first position that can be tested must have the old verdict, or there is no search.
        below = [p for p in untried if not settled or p < settled[0]]
        return below[0] if below else None
    if len(settled) == 1 or not any(known[p] is new for p in settled):
        above = [p for p in untried if p > settled[-1]]
        return above[-1] if above else None
    before, after = _bracket(settled, known, seek)
    inside = [p for p in untried if before < p < after]
    return inside[(len(inside) - 1) // 2] if inside else None


def conclude(positions: Sequence[int], known: Mapping[int, Verdict], seek: Seek) -> Finding:
    """Return what *known* says of *positions*; of several changes, the first one counts."""
    old, new = _words(seek)
    settled = [p for p in positions if known.get(p) in (old, new)]
    if not settled:
        return Finding(seek, (), "no position could be tested")
    if known[settled[0]] is new:
        word = "fails" if seek == "bad" else "passes"
        return Finding(seek, (), f"position {settled[0]} already {word}")
    if all(known[p] is old for p in settled):
        word = "fails" if seek == "bad" else "passes"
        return Finding(seek, (), f"no position {word}: {settled[0]} to {settled[-1]} were tried")
    before, after = _bracket(settled, known, seek)
    suspects = tuple(p for p in positions if before < p <= after)
    what = "bad" if seek == "bad" else "fixing"
    if len(suspects) == 1:
        return Finding(seek, suspects, f"first {what} position: {after}")
    return Finding(
        seek,
        suspects,
        f"first {what} position: one of {suspects[0]} to {suspects[-1]} "
        f"({len(suspects) - 1} of them have no verdict)",
    )


def search(positions: Sequence[int], probe: Callable[[int], Verdict], seek: Seek) -> Finding:
    """Find the patch by asking *probe* for the verdict of as few positions as possible."""
    known: dict[int, Verdict] = {}
    while (position := next_position(positions, known, seek)) is not None:
        known[position] = probe(position)
    return conclude(positions, known, seek)


def exit_code(seen: Verdict | HarnessError) -> int:
    """Return what a ``git bisect run`` script exits with.

    A failed test, a panic or a hang (FAIL) is bad. A commit that does not build or apply, or
    gave no verdict, cannot be tested. Broken infrastructure must stop the bisection rather
    than blame a commit.
    """
    if isinstance(seen, HarnessError):
        if isinstance(seen, BuildError | PatchError):
            return UNTESTABLE
        if isinstance(seen, Interrupted):
            return ABORT_INTERRUPTED
        return ABORT_USER if isinstance(seen, UserError) else ABORT_INFRA
    if seen is Verdict.FAIL:
        return BAD
    return GOOD if seen in (Verdict.PASS, Verdict.DONE) else UNTESTABLE


def _words(seek: Seek) -> tuple[Verdict, Verdict]:
    """Return the verdicts before and from the patch that is sought."""
    bad = (Verdict.PASS, Verdict.FAIL)
    return bad if seek == "bad" else bad[::-1]


def _bracket(settled: Sequence[int], known: Mapping[int, Verdict], seek: Seek) -> tuple[int, int]:
    """Return the last position with the old verdict before the first with the new, and that."""
    _, new = _words(seek)
    after = next(p for p in settled if known[p] is new)
    return max(p for p in settled if p < after), after
