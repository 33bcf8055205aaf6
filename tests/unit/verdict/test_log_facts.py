# SPDX-License-Identifier: GPL-2.0-only
"""A kernel log read once: its splats with their cases, and its OOM reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.values import SplatKind
from harness.verdict.log_facts import read_log
from tests.unit.golden import golden_logs
from tests.unit.verdict.test_judge import KILL, WARNING, log

PROVOKED = [log for log in golden_logs("splat") if log.stem.startswith("provoked-")]
KIND_OF = {log.stem: log.stem.removeprefix("provoked-").rpartition("-")[0] for log in PROVOKED}


@pytest.mark.parametrize("log", PROVOKED, ids=lambda log: log.stem)
def test_read_log_splat_belongs_to_the_case_that_provoked_it(log: Path) -> None:
    lines = log.read_text(encoding="utf-8").split("\n")
    splats = read_log(lines).splats
    assert splats
    for splat in splats:
        if splat.kind is SplatKind.LEAK:
            assert (splat.case, splat.when) == ("", "after the last case, after")
        else:
            assert splat.case == KIND_OF[log.stem].replace("-", "_")


def test_read_log_splat_before_the_first_case_belongs_to_none() -> None:
    lines = [WARNING, "", "TAP version 14", "1..1", "ok 1 - a"]
    (splat,) = read_log(lines).splats
    assert (splat.case, splat.when) == ("", "before the first case")


def test_read_log_splat_after_the_last_case_names_it() -> None:
    (splat,) = read_log([*log("a", "b"), WARNING]).splats
    assert (splat.case, splat.when) == ("", "after the last case, b")


def test_read_log_quoted_lines_are_neither_splats_nor_kills() -> None:
    facts = read_log([f"# a: it printed\n{WARNING}\n{KILL % 'anon'}", "other"])
    assert (facts.splats, facts.oom_reports) == ((), ())
    assert [line.record for line in facts.lines] == [1, 1, 1, 2]


def test_read_log_storm_of_kills_keeps_every_report() -> None:
    facts = read_log([KILL % "anon"] * 1000)
    assert len(facts.oom_reports) == 1000
    assert len(facts.splats) < 1000
