# SPDX-License-Identifier: GPL-2.0-only
"""Runs contenders in turns and gives each row its numbers."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.disturbance import Disturbance
from bench.model import Contender, Measured, Once, Row, Sample
from bench.testbed import Testbed
from harness.guest.guest import BootFailure
from harness.model.errors import HarnessError

Tell = Callable[[str], None]
# A guest that does not come up is a verdict elsewhere; here it is a row without a figure.
FAILURES = (HarnessError, BootFailure)


@dataclass(frozen=True)
class Group:
    """Rows that are measured together."""

    name: str
    rows: tuple[Row, ...]
    runs: int
    warm_ups: int

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Every contender of the rows, each once."""
        figures = [f for row in self.rows for f in (row.ours, row.theirs) if f is not None]
        return tuple({figure.contender.name: figure.contender for figure in figures}.values())


def groups_of(rows: Sequence[Row], runs: int | None) -> tuple[Group, ...]:
    """Return the groups of *rows*, in order; *runs* overrides the rows' own numbers."""
    groups = []
    for name in dict.fromkeys(row.group for row in rows):
        members = tuple(row for row in rows if row.group == name)
        count = runs or max(row.runs for row in members)
        groups.append(Group(name, members, count, max(row.warm_ups for row in members)))
    return tuple(groups)


def turns(names: Sequence[str], runs: int) -> Iterator[tuple[int, str]]:
    """Yield (run, name) for *runs* runs of each, taking turns; each run begins with another.

    Whoever comes first in a round may find the machine in another state than the others do.
    """
    for run in range(runs):
        start = run % len(names)
        for name in (*names[start:], *names[:start]):
            yield run, name


def measure(group: Group, testbed: Testbed, tell: Tell) -> tuple[dict[str, Measured], float]:
    """Return what each row of *group* measured, by its name, and the cores busy otherwise.

    A contender that fails takes its rows with it, and no others.
    """
    failures: dict[str, str] = {}
    samples: dict[str, list[Sample]] = {}
    with ExitStack() as stack:
        runners: dict[str, Once] = {}
        for contender in group.contenders:
            try:
                tell(f"{contender.name}: getting ready")
                runner = stack.enter_context(contender.open(testbed))
                for _ in range(group.warm_ups):
                    tell(f"{contender.name}: warm-up")
                    runner()
            except FAILURES as error:
                failures[contender.name] = str(error)
                tell(f"{contender.name}: {error!s}")
            else:
                runners[contender.name] = runner
        disturbance = Disturbance()
        samples = _run(runners, group.runs, failures, tell)
        others = disturbance.cores()
    return {row.name: _of(row, samples, failures) for row in group.rows}, others


def _run(
    runners: Mapping[str, Once], runs: int, failures: dict[str, str], tell: Tell
) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {name: [] for name in runners}
    for run, name in turns(tuple(runners), runs) if runners else ():
        if name in failures:
            continue
        try:
            with _undisturbed():
                sample = runners[name]()
        except FAILURES as error:
            failures[name] = str(error)
            tell(f"{name}: {error!s}")
            continue
        samples[name].append(sample)
        figures = ", ".join(f"{figure} {value:.3f}" for figure, value in sample.items())
        tell(f"run {run + 1}/{runs}  {name}: {figures}")
    return samples


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector of this process out of what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _of(row: Row, samples: Mapping[str, Sequence[Sample]], failures: Mapping[str, str]) -> Measured:
    figures = [figure for figure in (row.ours, row.theirs) if figure is not None]
    names = [figure.contender.name for figure in figures]
    failed = [f"{name}: {failures[name]}" for name in names if name in failures]
    if failed:
        return Measured((), failure="; ".join(failed))
    ours, *theirs = (
        tuple(sample[figure.name] for sample in samples[figure.contender.name])
        for figure in figures
    )
    return Measured(ours, theirs[0] if theirs else ())
