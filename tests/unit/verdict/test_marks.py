# SPDX-License-Identifier: GPL-2.0-only
"""Marks of a test's log on the time axis of its samples."""

from __future__ import annotations

from harness.model.results import MAX_MARKS
from harness.verdict.log_facts import read_log
from harness.verdict.marks import marks
from tests.unit.verdict.test_judge import WARNING, log

LOG = (
    "    # Subtest: demo",
    "    1..2",
    "    ok 1 - a",
    "anon invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "Out of memory: Killed process 28 (anon) total-vm:1332kB",
    "    not ok 2 - b",
    "not ok 1 - demo",
)


def test_marks_of_cases_and_oom_kills_have_their_times() -> None:
    times = [1_000_000 * n for n in range(1, len(LOG) + 1)]
    found = [(m.t, m.kind, m.text) for m in marks(read_log(LOG), times, 1_000_000)]
    assert found == [
        (0.0, "case-begin", "a"),
        (2.0, "case-begin", "b"),
        (2.0, "case-end", "ok a"),
        (
            3.0,
            "oom-kill",
            "OOM kill of anon, asked by anon: pid 28; order 0, GFP_KERNEL",
        ),
        (5.0, "case-end", "not ok b"),
    ]


def test_marks_of_a_splat_have_its_title() -> None:
    facts = read_log([*log("a"), WARNING])
    (mark,) = [m for m in marks(facts, range(len(facts.lines)), 0) if m.kind == "splat"]
    assert (mark.t, mark.text) == (4e-6, facts.splats[0].title)


def test_marks_are_bounded() -> None:
    lines = [f"    ok {n} - case_{n}" for n in range(2 * MAX_MARKS)]
    assert len(list(marks(read_log(lines), range(len(lines)), 0))) == MAX_MARKS
