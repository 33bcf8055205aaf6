# SPDX-License-Identifier: GPL-2.0-only
"""The commands in reports: what the harness itself makes of them."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.results import CellResult, KernelFault, PatchRecord, RunRecord, Stop
from harness.model.values import Cell, Plan, Verdict
from harness.plan.options import add_plan_options, given_options, plan_from
from harness.report.reproduce import run_command, shell_command
from tests.unit.sample_run import make_run

CELL = Cell("arm64", "debian:5.10", 2, ("kasan",), 96, "some-test", "anon:95%:seed=7+xfs", 4)
PATCHES = tuple(PatchRecord(n, f"patch {n}", "5" * 64, f"{n}" * 40) for n in (1, 2, 3))


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return make_run(tmp_path)


def parsed(command: str) -> Plan:
    """What a command's options mean to the harness."""
    parser = argparse.ArgumentParser()
    add_plan_options(parser)
    parser.add_argument("--fresh", action="store_true")
    words = shlex.split(command)[2:]
    return plan_from(Plan(), given_options(vars(parser.parse_args(words))))


def test_run_command_means_the_cell_and_nothing_else(record: RunRecord) -> None:
    plan = replace(record.plan, config=("kasan",), cpus=2, accel="auto", repeat=20, jobs=3)
    command = run_command(replace(record, plan=plan), CELL)  # its fifth run
    assert command.startswith("harness run --series vmalloc-nofail --base debian:5.10 --arch arm64")
    assert command.endswith(" --fresh")
    one = replace(plan, arch=("arm64",), positions=(2,), ram_mib=(96,), repeat=1, jobs=0)
    assert parsed(command) == replace(
        one, tests=("some-test",), loads=("anon:95%:seed=11+xfs:seed=5",)
    )


def test_shell_command_is_of_the_same_guest(record: RunRecord) -> None:
    seen = CellResult(CELL, Verdict.FAIL, Verdict.PASS, "")
    assert parsed(shell_command(record, seen)) == parsed(run_command(record, CELL))
    assert shell_command(record, seen).startswith("harness shell ")
    fault = KernelFault(Stop.BUILD, "does not build: x")
    assert shell_command(record, replace(seen, fault=fault)) == "", "there is no guest"


def test_run_command_of_a_range_names_commits_not_branches(record: RunRecord) -> None:
    plan = replace(record.plan, series="git:/my linux#work~3..work", base="git:/my linux#work~3")
    moved = replace(record, plan=plan, patches=PATCHES, base_commit="b" * 40)
    assert parsed(run_command(moved, CELL)).series == f"git:/my linux#{'1' * 12}~1..{'3' * 12}"
    assert parsed(run_command(moved, CELL)).base == f"git:/my linux#{'b' * 12}"


@pytest.mark.parametrize(
    ("series", "base"),
    [
        ("edits:/src/linux", "git:/src/linux#HEAD"),
        ("my.mbox", "debian:6.1"),
        ("git:/a#b..c", "git:https://localhost/linux.git#v6.1"),
    ],
)
def test_run_command_of_others_is_as_it_was_asked_for(
    record: RunRecord, series: str, base: str
) -> None:
    plan = parsed(
        run_command(replace(record, plan=replace(record.plan, series=series, base=base)), CELL)
    )
    assert (plan.series, plan.base) == (series, base)
