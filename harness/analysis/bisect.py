# SPDX-License-Identifier: GPL-2.0-only
"""Search for the patch that changes a verdict, given what was seen at some positions.

Nothing is run here: :func:`next_position` says which position would tell most, the caller finds
out what is there, and :func:`conclude` says what follows. A position that has no verdict on the
kernel (the harness failed, the test broke or was skipped) is stepped around, as ``git bisect skip``
does, and may leave a range of suspects.

So is one whose kernel fails at an earlier stage than those at both ends: its build broke, say, and
a later patch mended it. That is a fault of its own, and named as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.model.errors import BuildError, HarnessError, Interrupted, PatchError, UserError
from harness.model.results import CellResult, KernelFault, Stop
from harness.model.values import Verdict

Seek = Literal["bad", "fix"]  # the patch that makes the test fail, or the one that makes it pass
_STAGES = (Stop.APPLY, Stop.BUILD, Stop.BOOT)
_RAN = len(_STAGES)  # rank of a test that ran
GOOD = 0
BAD = 1
UNTESTABLE = 125
ABORT_USER = 129  # 128 and above make `git bisect run` stop
ABORT_INTERRUPTED = 130
ABORT_INFRA = 131


@dataclass(frozen=True)
class Seen:
    """What was found at a position."""

    verdict: Verdict
    what: str = ""  # one line: what is wrong with it
    fault: KernelFault | None = None  # of its kernel; None: the test could run
    blamed: int = 0  # number of the patch that what went wrong leads to; 0: not known

    @property
    def kind(self) -> object:
        """The same for positions that fail in the same way."""
        return self.verdict, self.fault and self.fault.kind

    @property
    def rank(self) -> int:
        """How far it got, as a number."""
        passed = self.verdict is Verdict.PASS
        return _RAN + passed if self.fault is None else _STAGES.index(self.fault.stage)


Known = Mapping[int, Seen]


@dataclass(frozen=True)
class Finding:
    """The patch that was sought, as far as the verdicts tell."""

    seek: Seek
    suspects: tuple[int, ...]  # patches one of which brought the new verdict
    text: str  # one line for people
    others: tuple[str, ...] = ()  # further faults and what could not be tested, a line each
    settled: bool = True  # no position without a verdict could change it
    why: str = ""  # what is wrong from there on, one line

    @property
    def position(self) -> int | None:
        """The first position with the new verdict; None where it is not settled."""
        return self.suspects[0] if len(self.suspects) == 1 else None


# The number of the patch that brought a line: of a position, a file and a line in it.
Origin = Callable[[int, str, int], int]


def seen_in(cells: Iterable[CellResult], origin: Origin) -> Seen:
    """Return what the *cells* of one position say of it.

    Of several that fail, the one whose kernel got furthest stands for all.
    """
    results = tuple(cells)
    verdict = Verdict.worst(tuple(result.verdict for result in results))
    seen = [_seen(r, origin) for r in results if r.verdict is verdict]
    return max(seen, key=lambda one: one.rank, default=Seen(verdict))


def _seen(result: CellResult, origin: Origin) -> Seen:
    if result.verdict is Verdict.PASS:
        return Seen(result.verdict)
    if result.fault is not None:
        return Seen(result.verdict, result.reason, result.fault, result.fault.patch)
    places = (place for splat in result.splats for f in splat.frames for place in f.places)
    found = (origin(result.cell.position, p.file, p.line) for p in places)
    return Seen(result.verdict, result.reason, blamed=next(filter(None, found), 0))


def next_position(positions: Sequence[int], known: Known, seek: Seek) -> int | None:
    """Return the position to try next; None when nothing more can be learnt.

    ``positions`` are all that may be tried, ascending; ``known`` has those that were.
    """
    untried = [position for position in positions if position not in known]
    told = _told(positions, known)
    old, new = _words(seek)
    if not told or known[told[0]].verdict is not old:
        # The first position that can be tested must have the old verdict, or there is no search.
        below = [p for p in untried if not told or p < told[0]]
        return below[0] if below else None
    if len(told) == 1 or not any(known[p].verdict is new for p in told):
        above = [p for p in untried if p > told[-1]]
        return above[-1] if above else None
    before, after = _bracket(told, known, seek)
    return _between(untried, before, after, known) or _between(
        untried, *_last_kind(told, known, after), known
    )


def conclude(positions: Sequence[int], known: Known, seek: Seek) -> Finding:
    """Return what *known* says of *positions*; of several changes, the first one counts."""
    told = _told(positions, known)
    _, new = _words(seek)
    word, what = ("fails", "bad") if seek == "bad" else ("passes", "fixing")
    asides = _asides(positions, known, told)
    whole = not any(known[p].verdict not in _TELLING for p in known)
    if not told:
        return Finding(seek, (), "no position could be tested", asides, settled=False)
    if known[told[0]].verdict is new:
        # Those before it that could not be tested may have been otherwise.
        settled = not any(p < told[0] for p in known)
        return Finding(seek, (), f"position {told[0]} already {word}", asides, settled)
    if not any(known[p].verdict is new for p in told):
        tried = _listed(told)
        text = f"no position {word}: {tried} {'were' if len(told) > 1 else 'was'} tried"
        return Finding(seek, (), text, asides, settled=whole)
    before, after = _bracket(told, known, seek)
    suspects = tuple(range(before + 1, after + 1))
    others = (*_second(told, known, after, seek), *asides)
    reason = known[after].what
    if len(suspects) == 1:
        return Finding(seek, suspects, f"first {what} position: {after}", others, why=reason)
    untested = [p for p in known if before < p < after]
    number = len(untested)
    why = f" ({number} of them {'have' if number > 1 else 'has'} no verdict)" if untested else ""
    text = f"first {what} position: one of {suspects[0]} to {suspects[-1]}{why}"
    return Finding(seek, suspects, text, others, settled=False, why=reason)


def search(positions: Sequence[int], probe: Callable[[int], Seen], seek: Seek) -> Finding:
    """Find the patch by asking *probe* what is at as few positions as possible."""
    known: dict[int, Seen] = {}
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


_TELLING = (Verdict.PASS, Verdict.FAIL)


def _words(seek: Seek) -> tuple[Verdict, Verdict]:
    """Return the verdicts before and from the patch that is sought."""
    return _TELLING if seek == "bad" else _TELLING[::-1]


def _told(positions: Sequence[int], known: Known) -> list[int]:
    """Return the positions whose verdict counts."""
    told = [p for p in positions if p in known and known[p].verdict in _TELLING]
    if not told:
        return []
    needed = min(known[told[0]].rank, known[told[-1]].rank)
    return [p for p in told if known[p].rank >= needed]


def _bracket(told: Sequence[int], known: Known, seek: Seek) -> tuple[int, int]:
    """Return the last position with the old verdict before the first with the new, and that."""
    _, new = _words(seek)
    after = next(p for p in told if known[p].verdict is new)
    return max(p for p in told if p < after), after


def _last_kind(told: Sequence[int], known: Known, first: int) -> tuple[int, int]:
    """Return the last position before those that fail as the last one does, and the first of them.

    An empty range where the *first* bad position fails in the same way.
    """
    kind = known[told[-1]].kind
    if known[told[-1]].verdict is not known[first].verdict or known[first].kind == kind:
        return first, first
    after = next(p for p in told if p >= first and known[p].kind == kind)
    return max(p for p in told if p < after), after


def _between(untried: Sequence[int], before: int, after: int, known: Known) -> int | None:
    """Return the position that tells most of where between two others the verdict turns.

    The patch whose line went wrong is the likeliest: what is on either side of it settles it.
    """
    inside = [p for p in untried if before < p < after]
    if not inside:
        return None
    blamed = known[after].blamed
    for likely in (blamed - 1, blamed):
        if before < blamed <= after and likely in inside:
            return likely
    return inside[(len(inside) - 1) // 2]


def _second(told: Sequence[int], known: Known, first: int, seek: Seek) -> tuple[str, ...]:
    """Say where the way in which the last position fails began, if it is not that of *first*."""
    before, after = _last_kind(told, known, first)
    if seek != "bad" or before == after:
        return ()
    first_of = str(after) if after - before == 1 else f"one of {before + 1} to {after}"
    return (f"from position {first_of} on it fails in another way: {known[after].what}",)


def _asides(positions: Sequence[int], known: Known, told: Sequence[int]) -> tuple[str, ...]:
    """Name the positions that were tried and do not count, each with its reason."""
    lines = []
    for p in positions:
        if p not in known or p in told:
            continue
        seen = known[p]
        why = f": {seen.what}" if seen.what else ""
        if seen.verdict is Verdict.FAIL:
            lines.append(f"position {p} {seen.what}; a later patch mends it")
        else:
            lines.append(f"position {p} could not be tested ({seen.verdict.value}){why}")
    return tuple(lines)


def _listed(positions: Sequence[int]) -> str:
    """Return "0, 5 and 12"."""
    *rest, last = map(str, positions)
    return f"{', '.join(rest)} and {last}" if rest else last
