# SPDX-License-Identifier: GPL-2.0-only
"""The claims of a load on the guest's own counters, and whether these bear them out.

A claim of a ``load.toml`` is a counter and what it must do: ``pswpin = "> 0"`` of /proc/vmstat,
which must have grown since before the load, ``nr_mlock = "is > 100"``, whose value counts, or
``"/sys/fs/cgroup/load/memory.events:oom_kill" = "> 0"`` of any file with a name and a number on
each line. Where a line has several numbers, ``name.1`` is the second. A file without a name is one
that holds a number alone.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.model.errors import UserError
from harness.model.results import Shown
from harness.model.values import Load

VMSTAT = "/proc/vmstat"
_COUNTER = re.compile(
    r"(?:(?P<file>/[^:]+):)?(?P<name>[\w()]+)(?:\.(?P<index>\d))?|(?P<whole>/[^:]+)"
)
_WANT = re.compile(r"(?P<level>is )?(?P<operator><=|>=|<|>) ?(?P<number>-?\d{1,15})")
_OPERATORS: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Claim:
    """One counter and what it must do."""

    load: str
    counter: str  # as load.toml writes it
    want: str
    file: str
    name: str  # empty: the file is a number alone
    index: int  # which of the line's numbers

    @property
    def level(self) -> bool:
        """Whether the counter's value is meant, which may fall again, rather than its growth."""
        return self.want.startswith("is ")

    def value(self, files: Mapping[str, str]) -> int:
        """Return the counter's value in *files*, path → text; 0 where it is not there."""
        named = rf"{re.escape(self.name)}:?[ \t]+" if self.name else ""
        pattern = rf"^{named}(-?\d+(?:[ \t]+-?\d+)*)"
        found = re.search(pattern, files.get(self.file, ""), re.M)
        numbers = found[1].split() if found else []
        return int(numbers[self.index][:18]) if self.index < len(numbers) else 0

    def shown(self, before: Mapping[str, str], after: Mapping[str, str]) -> Shown:
        """Say whether the guest's files *before* the load and *after* it bear the claim out."""
        old, new = self.value(before), self.value(after)
        want = _WANT.fullmatch(self.want)
        assert want, self.want
        figure = new if want["level"] else new - old
        borne_out = _OPERATORS[want["operator"]](figure, int(want["number"]))
        return Shown(self.load, self.counter, self.want, old, new, borne_out)


def claims(load: Load) -> tuple[Claim, ...]:
    """Return all that *load* claims to show.

    Raises:
        UserError: a counter or a claim that cannot be understood.
    """
    found = []
    for counter, want in load.shows:
        named = _COUNTER.fullmatch(counter)
        if not named or not _WANT.fullmatch(want):
            raise UserError(
                f"{load.folder}/load.toml: shows: {counter} = {want!r}: allowed are like "
                'pswpin = "> 0" (it grew), nr_mlock = "is > 100", "/proc/FILE:name" = "> 0"'
            )
        file, index = named["whole"] or named["file"] or VMSTAT, int(named["index"] or 0)
        found.append(Claim(load.name, counter, want, file, named["name"] or "", index))
    return tuple(found)


def toothless(shown: Iterable[Shown]) -> str:
    """Return one line about the claims that were not borne out; "" where all were."""
    missed = [
        f"load {s.load} did not show {s.counter} {s.want}: {s.before} before, {s.after} under it"
        for s in shown
        if not s.borne_out
    ]
    return "; ".join(missed)
