# SPDX-License-Identifier: GPL-2.0-only
"""What was seen around a test, and what it means."""

from __future__ import annotations

from harness.model.results import Ended, Phase, TestOutcome
from harness.model.values import SplatKind, Verdict
from harness.verdict.judge import judge
from harness.verdict.phases import ends_of, eventful, log_of, read_phases
from tests.unit.verdict.test_judge import KILL, SERIES, TEST, WARNING, cell, log

STARTED, STOPPED = "while load anon was started", "while load anon was stopped"
INIT = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"
QUIET = Phase(STARTED, ("XFS (vda): Mounting V5 Filesystem",))
WARNED = Phase(STOPPED, ("zram0: gone", WARNING))


def test_read_phases_splat_has_its_line_in_the_whole_log() -> None:
    phases = (QUIET, WARNED)
    none, (splat,) = (facts.splats for facts in read_phases(phases))
    assert none == ()
    assert log_of(phases)[splat.line - 1] == WARNING
    assert splat.when == STOPPED
    assert eventful(phases)
    assert not eventful((QUIET,))


def test_ends_of_names_the_phase() -> None:
    ends = (
        (Ended.DONE, "", ()),
        (Ended.DIED, "the guest reset or powered off", ()),
        (Ended.DIED, "", (INIT,)),
        (Ended.SILENT, "no sign of life", ()),
        (Ended.STUCK, "load anon is stuck", ()),
        (Ended.LOST, "QEMU ended with exit 1", ()),
    )
    phases = [Phase(STOPPED, said, ended, why) for ended, why, said in ends]
    logs = read_phases(phases)
    assert list(ends_of(phases, logs)) == [
        (Verdict.FAIL, f"the kernel died {STOPPED}: the guest reset or powered off"),
        (
            Verdict.MISS,
            f"the guest's init died {STOPPED}: {logs[2].splats[0].title}",
        ),
        (Verdict.FAIL, f"no answer {STOPPED}: no sign of life"),
        (Verdict.FAIL, f"load anon is stuck, {STOPPED}"),
        (Verdict.MISS, f"QEMU ended with exit 1, {STOPPED}"),
    ]


def test_judge_splats_of_phases_are_tolerated_as_in_the_test() -> None:
    kill = Phase(STOPPED, (KILL % "anon",))
    outcome = TestOutcome(Ended.DONE, log("always", "mended_a"), phases=(kill,))
    said = judge(cell(2, "anon"), TEST, SERIES, outcome, frozenset())
    assert said.verdict is Verdict.FAIL
    assert said.anomalies[-1].endswith(f", {STOPPED}")
    tolerated_splats = frozenset({SplatKind.OOM_KILL})
    assert judge(cell(2, "anon"), TEST, SERIES, outcome, tolerated_splats).as_expected


def test_judge_oom_kill_of_the_guest_in_a_phase_is_a_miss() -> None:
    kill = Phase(STOPPED, (KILL % "dropbear",))
    outcome = TestOutcome(Ended.DONE, log("always", "mended_a"), phases=(kill,))
    tolerated_splats = frozenset({SplatKind.OOM_KILL})
    assert judge(cell(2, "anon"), TEST, SERIES, outcome, tolerated_splats).verdict is Verdict.MISS


def test_judge_untried_test_is_a_miss_unless_the_kernel_failed() -> None:
    outcome = TestOutcome(Ended.UNTRIED, (), reason="load anon ended", phases=(QUIET,))
    said = judge(cell(2, "anon"), TEST, SERIES, outcome, frozenset())
    assert (said.verdict, said.reason) == (Verdict.MISS, "load anon ended")
    outcome = TestOutcome(Ended.UNTRIED, (), reason="load anon ended", phases=(WARNED,))
    said = judge(cell(2, "anon"), TEST, SERIES, outcome, frozenset())
    assert said.verdict is Verdict.FAIL
    assert said.anomalies[0] == "load anon ended"
    outcome = TestOutcome(Ended.UNTRIED, (), unsound=("its xfs is broken",))
    assert judge(cell(2, "anon"), TEST, SERIES, outcome, frozenset()).verdict is Verdict.FAIL
