# SPDX-License-Identifier: GPL-2.0-only
"""A plan with its names resolved: source tree, series, tests, loads, positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.arch import load_arch
from harness.build.kconfig import read_fragments, topics_of
from harness.host import packages, process
from harness.host.paths import Checkout, require_usable
from harness.model.errors import UserError
from harness.model.events import Note
from harness.model.text import one_line
from harness.model.values import (
    COMMIT_SHOWN,
    NO_LOAD,
    NO_SERIES,
    Arch,
    Cell,
    GuestTest,
    Load,
    Plan,
    Series,
    SourceTree,
)
from harness.plan.descriptions import load_loads, load_tests, select_tests
from harness.plan.loads import loads_named
from harness.plan.plan import DEFAULT_BASE, MIN_RAM_MIB, RAM_MIB
from harness.run.workspace import Workspace
from harness.source.fetch import fetch, known
from harness.source.git_repository import SCHEME as GIT
from harness.source.git_series import EDITS, range_base
from harness.source.series import absolute_spec, check_series, series_from


def completed(plan: Plan, checkout: Checkout) -> Plan:
    """Return *plan* with the defaults of what it leaves open: base and RAM.

    A series of a git repository lies on the commit that it starts from. Paths become absolute:
    what a report says of a run holds in any working folder.

    Raises:
        UserError: a RAM size that no guest can boot with, more CPUs than it can have, or a series
            that is no git range.
    """
    _check_cpus(plan, checkout)
    named = (checkout.patches / plan.series).is_dir() or plan.series == NO_SERIES
    series = plan.series if named else absolute_spec(plan.series)
    plan = replace(plan, series=series, base=absolute_spec(plan.base))
    if not plan.base:
        from_git = plan.series.startswith((f"{EDITS}:", f"{GIT}:"))
        plan = replace(plan, base=range_base(plan.series) if from_git else DEFAULT_BASE)
    return _with_ram(plan, checkout)


def _check_cpus(plan: Plan, checkout: Checkout) -> None:
    """Check that kernel and machine of each architecture take the CPUs that *plan* asks for.

    More would be left out by a kernel without a word, and refused by QEMU.
    """
    for arch in map(load_arch, plan.arch if plan.cpus > 1 else ()):
        topics = topics_of(arch.name, plan.config)
        files = (checkout.kconfigs / f"{topic}.config" for topic in topics)
        most, of = arch.max_cpus, f"QEMU's machine {arch.machine.partition(',')[0]}"
        for fragment in read_fragments(filter(Path.is_file, files)):
            asked = fragment.values.get("NR_CPUS", "")
            if asked.isdigit() and int(asked) < most:
                most, of = int(asked), f"CONFIG_NR_CPUS of {fragment.topic}.config"
        if plan.cpus > most:
            raise UserError(
                f"{plan.cpus} CPUs are too many for a guest of {arch.name}: it has at most {most} "
                f"({of})",
                hint=f"give --cpus {most} or less",
            )


def _with_ram(plan: Plan, checkout: Checkout) -> Plan:
    """Return *plan* with the RAM of its guests, in MiB: enough for its topics by default."""
    fragments = read_fragments(checkout.kconfigs / f"{topic}.config" for topic in plan.config)
    takers = [fragment for fragment in fragments if fragment.takes_mib]
    taken = sum(fragment.takes_mib for fragment in takers)
    for mib in plan.ram_mib:
        if takers and mib < MIN_RAM_MIB + taken:
            names = ", ".join(f"{fragment.topic} {fragment.takes_mib}M" for fragment in takers)
            raise UserError(
                f"{mib}M of RAM is too little for a guest with these config topics: they take "
                f"{taken}M of it ({names})",
                hint=f"without --ram it gets {RAM_MIB + taken}M",
            )
    return plan if plan.ram_mib else replace(plan, ram_mib=(RAM_MIB + taken,))


@dataclass(frozen=True)
class ResolvedPlan:
    """A plan with all its names resolved: nothing was built yet."""

    plan: Plan
    tree: SourceTree
    series: Series
    archs: tuple[Arch, ...]
    positions: tuple[int, ...]
    tests: tuple[GuestTest, ...]
    loads: tuple[Load, ...]  # every one that some combination of the plan has
    topics: Mapping[str, frozenset[str]] = field(default_factory=dict)  # symbols that each sets

    def cells(self, arch: Arch, position: int) -> tuple[Cell, ...]:
        """Return the cells of one kernel, in the order in which they run."""
        return tuple(
            Cell(
                arch=arch.name,
                base=self.plan.base,
                position=position,
                config=self.plan.config,
                ram_mib=ram,
                test=test.name,
                load=load,
                repeat=repeat,
            )
            for ram in self.plan.ram_mib
            for load in dict.fromkeys((*self.plan.loads, NO_LOAD))
            for test in self.tests
            if load in test.loads_of(self.plan.loads, named=bool(self.plan.tests))
            for repeat in range(self.plan.repeat)
        )

    def test(self, name: str) -> GuestTest:
        """Return the test of this plan called *name*."""
        return next(test for test in self.tests if test.name == name)

    def load(self, name: str) -> Load:
        """Return the load called *name* that some combination of the plan has."""
        return next(load for load in self.loads if load.name == name)

    def lacking(self, load: Load, config: Collection[str]) -> str:
        """Return what *load* misses on a kernel whose .config has the lines *config*, or "".

        One line, with the config topic that brings it.
        """
        missing = [symbol for symbol in load.needs if f"CONFIG_{symbol}=y" not in config]
        if not missing:
            return ""
        bring = [topic for topic, symbols in self.topics.items() if symbols >= set(missing)]
        how = f": add --config {bring[0]}" if bring else ""
        return f"load {load.name} needs a kernel with {', '.join(missing)}{how}"


def prepare(plan: Plan, workspace: Workspace, *, announce: bool = True) -> ResolvedPlan:
    """Check the host, and resolve every name of *plan*: source, series, tests and loads.

    With *announce*, report what the plan is about.

    Raises:
        UserError: a name means nothing here, or a position is outside the series.
        InfraError: the host lacks something, or the source cannot be had.
    """
    check_series(plan.series)  # at once: to get a base may take minutes
    plan = completed(plan, workspace.checkout)
    require_usable(workspace.cache)
    if ignored := process.ignored_build_settings():
        said = f"set, but without effect on what the harness builds: {', '.join(ignored)}"
        workspace.report(Note(one_line(said), "warning"))
    archs = tuple(load_arch(name) for name in plan.arch)
    packages.require(archs)
    tests = select_tests(load_tests(workspace.checkout), plan.tests)
    loads = load_loads(workspace.checkout)
    tree = known(plan.base, workspace.cache)
    tree = tree or fetch(plan.base, workspace.cache, plan.mirror, workspace.report)
    series = series_from(plan.series, workspace.checkout, tree, workspace.store)
    if announce:
        workspace.report(Note(subject(plan, series, tree)))
    return ResolvedPlan(
        plan=plan,
        tree=tree,
        series=series,
        archs=archs,
        positions=checked_positions(series, plan.positions),
        # A path may hold some of the patches of a series whose name it has.
        tests=checked_claims(tests, series) if plan.series == series.name else tests,
        loads=tuple(loads[name] for name in loads_named(plan.loads)),
        topics=_topics(workspace.checkout),
    )


def subject(plan: Plan, series: Series, tree: SourceTree) -> str:
    """Return what a run is about, on one line: series, base, their commits, kernel version."""
    base = plan.base + (f" (commit {tree.commit[:COMMIT_SHOWN]})" if tree.commit else "")
    on = f"Linux {tree.version}, {base}"
    if plan.series == NO_SERIES:
        return f"no series: {on}, as it is"
    count = len(series.patches)
    ids = [patch.commit[:COMMIT_SHOWN] for patch in series.patches if patch.commit]
    words = f"{count} patch{'es' if count != 1 else ''}"
    words += f", {'..'.join(dict.fromkeys((ids[0], ids[-1])))}" if ids else ""
    return f"series {plan.series} ({words}) on {on}"


def _topics(checkout: Checkout) -> dict[str, frozenset[str]]:
    files = sorted(checkout.kconfigs.glob("*.config"))
    return {
        fragment.topic: frozenset(s for s, value in fragment.values.items() if value == "y")
        for fragment in read_fragments(files)
    }


def checked_claims(tests: tuple[GuestTest, ...], series: Series) -> tuple[GuestTest, ...]:
    """Return *tests*, of which none claims to prove a patch that *series* does not have.

    Raises:
        UserError: one does.
    """
    last = len(series.patches)
    for test in tests:
        for number, claim in enumerate(test.proves):
            if claim.series == series.name and claim.patch > last:
                raise UserError(
                    f"{test.folder / 'test.toml'}: proves[{number}].patch = {claim.patch}: "
                    f"series '{series.name}' for {series.covers} has {last} patches"
                )
    return tests


def checked_positions(series: Series, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return *wanted* in order, or every position of *series* where nothing was asked for.

    Raises:
        UserError: a position that the series does not have.
    """
    for position in wanted:
        if position not in series.positions:
            raise UserError(
                f"position {position} is outside series '{series.name}'",
                hint=f"it has positions 0 (base) to {len(series.patches)}",
            )
    return tuple(sorted(set(wanted))) or series.positions
