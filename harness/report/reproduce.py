# SPDX-License-Identifier: GPL-2.0-only
"""The commands that run one cell of a run again, and that open a shell in its guest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.model.results import CellResult, RunRecord
from harness.model.values import COMMIT_SHOWN, Cell, Plan
from harness.plan.loads import pressures
from harness.plan.options import OPTIONS
from harness.source.git_repository import SCHEME as GIT
from harness.source.git_repository import is_url

# Of a run as a whole, and no part of what a cell is.
_OF_THE_RUN = ("jobs", "repeat", "mirror")
# Said also where a plan has the default: a default may change.
_ALWAYS = ("series", "base", "arch", "positions", "ram_mib", "tests", "loads")
_UNITS: Mapping[str, str] = {"ram_mib": "M"}


def run_command(record: RunRecord, cell: Cell) -> str:
    """Return the command that runs *cell* alone, in a fresh guest."""
    return f"harness run {_options(record, cell)} --fresh"


def shell_command(record: RunRecord, result: CellResult) -> str:
    """Return the command that opens a shell in a guest like that of *result*.

    "" where its kernel does not even build, or nobody gets a shell as it does not boot.
    """
    return "" if result.fault else f"harness shell {_options(record, result.cell)}"


def _options(record: RunRecord, cell: Cell) -> str:
    plan = replace(
        record.plan,
        series=_series(record),
        base=_base(record, cell),
        arch=(cell.arch,),
        positions=(cell.position,),
        ram_mib=(cell.ram_mib,),
        tests=(cell.test,),
        loads=(_load(cell),),
        config=cell.config,
    )
    return " ".join(shlex.quote(word) for word in _words(plan))


def _words(plan: Plan) -> Iterator[str]:
    default = Plan()
    for option in OPTIONS:
        value = getattr(plan, option.field)
        given = option.field in _ALWAYS or value != getattr(default, option.field)
        if not given or option.field in _OF_THE_RUN:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            text = f"{one}{_UNITS.get(option.field, '')}"
            # A word with a dash in front would be taken for an option.
            yield from (f"{option.flag}={text}",) if text.startswith("-") else (option.flag, text)


def _series(record: RunRecord) -> str:
    """Return the series by commit ids where it is a range of a repository: branches move."""
    series = record.plan.series
    commits = [patch.commit[:COMMIT_SHOWN] for patch in record.patches]
    if not series.startswith(f"{GIT}:") or not commits or not all(commits):
        return series
    # The commit before a series has no record: its base may be another one.
    return f"{series.partition('#')[0]}#{commits[0]}~1..{commits[-1]}"


def _load(cell: Cell) -> str:
    """Return the load of *cell*, with the seed that this run of a repeated cell had."""
    one = pressures(cell.load) if cell.repeat else ()
    return "+".join(str(pressure.moved(cell.repeat)) for pressure in one) or cell.load


def _base(record: RunRecord, cell: Cell) -> str:
    base = record.plan.base or cell.base
    repository = base.removeprefix(f"{GIT}:").partition("#")[0]
    if not base.startswith(f"{GIT}:") or not record.base_commit or is_url(repository):
        return base
    return f"{GIT}:{repository}#{record.base_commit[:COMMIT_SHOWN]}"
