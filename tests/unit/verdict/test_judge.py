# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: what is expected, what was seen, and when the two agree."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.results import CellResult, Ended, KernelFault, Stop, TestOutcome
from harness.model.values import Cell, GuestTest, Proves, SplatKind, Verdict
from harness.verdict.judge import (
    expected_case,
    expected_test,
    judge,
    judge_fault,
    missed_result,
    splats_of,
)
from harness.verdict.splat import is_death

PASS, FAIL, ERROR, MISS, SKIP = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.MISS,
    Verdict.SKIP,
)
SERIES = "demo-series"
TEST = GuestTest(
    name="demo",
    folder=Path("/tests/demo"),
    summary="",
    module="demo",
    suite="demo-suite",
    proves=(Proves(SERIES, 2, ("mended_*",)),),
)
WARNING = "WARNING: CPU: 0 PID: 49 at mm/demo.c:77 demo_put+0x31/0x40 [demo]"
KILL = "Out of memory: Killed process 61 (%s) total-vm:69200kB"
OOM = KILL % "anon"
OOPS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000010",
    "Oops: 0002 [#1] SMP",
    "RIP: 0010:demo_write+0x1b/0x40 [demo]",
    "Kernel panic - not syncing: Fatal exception",
)


def cell(position: int, load: str = "none") -> Cell:
    return Cell("x86_64", "debian:5.10", position, (), 128, "demo", load)


def log(*cases: str, planned: int = 0, end: bool = True) -> tuple[str, ...]:
    """Return a suite's log; a case is its name, with "!" in front where it fails."""
    lines = [
        f"    {'not ok' if case.startswith('!') else 'ok'} {number} - {case.lstrip('!')}"
        for number, case in enumerate(cases, 1)
    ]
    bad = any(case.startswith("!") for case in cases)
    last = [f"{'not ok' if bad else 'ok'} 1 - demo-suite"] if end else []
    return ("    # Subtest: demo-suite", f"    1..{planned or len(cases)}", *lines, *last)


def seen(position: int, *lines: str, ended: Ended = Ended.DONE, **more: object) -> CellResult:
    outcome = replace(TestOutcome(ended, lines), **more)  # type: ignore[arg-type]
    return judge(cell(position), TEST, SERIES, outcome, frozenset())


# ---------------------------------------------------------------- what is expected


@pytest.mark.parametrize(
    ("case", "position", "verdict"),
    [
        ("mended_a", 0, FAIL),
        ("mended_a", 1, FAIL),
        ("mended_a", 2, PASS),
        ("mended_a", 4, PASS),
        ("always", 0, PASS),
        ("mended_a.4096 bytes", 1, FAIL),
    ],
)
def test_expected_case_proving_case_fails_before_its_patch_only(
    case: str, position: int, verdict: Verdict
) -> None:
    assert expected_case(TEST, SERIES, position, case) is verdict
    assert expected_case(TEST, "another-series", position, case) is PASS


def test_expected_test_fails_with_its_cases() -> None:
    assert expected_test(TEST, SERIES, 1, ["always", "mended_a"]) is FAIL
    assert expected_test(TEST, SERIES, 2, ["always", "mended_a"]) is PASS
    assert expected_test(TEST, SERIES, 1) is FAIL
    assert expected_test(TEST, "another-series", 1) is PASS


def test_judge_claim_without_a_matching_case_is_not_as_expected() -> None:
    assert expected_test(TEST, SERIES, 1, ["renamed_a"]) is FAIL
    for position in (1, 2):
        result = seen(position, *log("renamed_a"))
        assert (result.verdict, result.as_expected) == (ERROR, False)
        says = 'demo/test.toml: proves[0]: no case of the module matches "mended_*"'
        assert result.anomalies == (says,)
    for lines in (log("a", planned=2), log("a", end=False), ("1..0 # SKIP none",)):
        assert says not in seen(1, *lines).anomalies
    assert says not in seen(1, *log("renamed_a"), ended=Ended.DIED).anomalies


def test_judge_case_that_passes_too_early_names_the_claim() -> None:
    globs = Proves(SERIES, 3, ("also_*", "mended_b"))
    test = replace(TEST, proves=(*TEST.proves, Proves("another", 9), globs))
    lines = log("always", "mended_a", "mended_b", "!also_c")
    result = judge(cell(1), test, SERIES, TestOutcome(Ended.DONE, lines), frozenset())
    claim = 'demo/test.toml: proves[0]: cases "mended_*" fail before patch 2'
    assert result.reason == f"1 of 4 cases failed: also_c; {claim}"
    lines = log("always", "mended_a", "also_c")
    test = replace(test, proves=(TEST.proves[0], replace(globs, cases=("also_*",))))
    result = judge(cell(1), test, SERIES, TestOutcome(Ended.DONE, lines), frozenset())
    also = 'demo/test.toml: proves[1]: cases "also_*" fail before patch 3'
    assert (result.verdict, result.expected) == (PASS, FAIL)
    assert result.reason == f"3 of 3 cases passed; {claim}; {also}"


# ---------------------------------------------------------------- runs that came to their end


def test_judge_proving_case_fails_before_its_patch() -> None:
    result = seen(1, *log("always", "!mended_a"), seconds=2.5)
    assert (result.verdict, result.expected, result.as_expected) == (FAIL, FAIL, True)
    assert result.reason == "1 of 2 cases failed: mended_a"
    assert result.anomalies == ()
    assert result.seconds == 2.5


def test_judge_all_cases_pass_from_the_patch_on() -> None:
    result = seen(2, *log("always", "mended_a"))
    assert (result.verdict, result.expected, result.as_expected) == (PASS, PASS, True)
    assert result.reason == "2 of 2 cases passed"


def test_judge_failure_of_another_case_is_not_as_expected() -> None:
    result = seen(1, *log("!always", "!mended_a"))
    assert (result.verdict, result.expected, result.as_expected) == (FAIL, FAIL, False)
    result = seen(1, *log("!always", "mended_a"))
    assert (result.verdict, result.expected, result.as_expected) == (FAIL, FAIL, False)


def test_judge_skip_is_as_expected_unless_the_case_proves_a_patch() -> None:
    lines = ["    # Subtest: demo-suite", "    1..2"]
    lines += ["    ok 1 - always # SKIP not here", "    ok 2 - mended_a", "ok 1 - demo-suite"]
    result = seen(2, *lines)
    assert (result.verdict, result.as_expected) == (PASS, True)
    assert result.reason == "1 of 2 cases passed, 1 skipped"
    lines[2:4] = ["    ok 1 - always", "    ok 2 - mended_a # SKIP not here"]
    assert not seen(2, *lines).as_expected
    assert not seen(1, *lines).as_expected


def test_judge_suite_of_skipped_cases_is_a_skip() -> None:
    test = replace(TEST, proves=())
    lines = ("    # Subtest: demo-suite", "    1..1", "    ok 1 - a # SKIP", "ok 1 - demo-suite")
    result = judge(cell(0), test, SERIES, TestOutcome(Ended.DONE, lines), frozenset())
    assert (result.verdict, result.expected, result.as_expected) == (SKIP, SKIP, True)


# ---------------------------------------------------------------- what went wrong beside


def test_judge_death_of_the_kernel_fails_the_running_case() -> None:
    lines = (*log("always", planned=2, end=False), "    # mended_a: going", *OOPS)
    result = seen(1, *lines, ended=Ended.DIED)
    assert result.verdict is FAIL
    assert result.cases[-1].name == "mended_a"
    assert result.cases[-1].verdict is FAIL
    assert result.reason == (
        "the kernel died in case mended_a: kernel NULL pointer dereference in demo_write"
    )
    assert result.expected is FAIL
    assert not result.as_expected, "a death is not the failure that was foretold"


def test_judge_reset_without_a_splat() -> None:
    result = seen(2, *log("always", "mended_a"), ended=Ended.DIED, reason="the guest reset")
    assert result.verdict is FAIL
    assert result.reason == "the kernel died after the last case: the guest reset"
    assert seen(2, ended=Ended.DIED).reason == (
        "the kernel died before the first case: without a word"
    )


def test_judge_death_is_never_tolerated() -> None:
    test = replace(TEST, tolerated_splats=(SplatKind.PANIC, SplatKind.OOPS))
    lines = (*log("always", "mended_a"), *OOPS)
    for ended in (Ended.DIED, Ended.SILENT, Ended.DONE):
        result = judge(cell(2), test, SERIES, TestOutcome(ended, lines), frozenset())
        assert result.verdict is FAIL
        assert "kernel NULL pointer dereference in demo_write" in result.reason


def test_judge_exit_of_init_is_a_miss() -> None:
    died = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"
    result = seen(2, *log("!always", planned=2, end=False), died, ended=Ended.DIED)
    assert result.verdict is MISS
    killed = died.replace("00000100", "0000000b")
    result = seen(2, *log("always", planned=2, end=False), killed, ended=Ended.DIED)
    assert result.verdict is FAIL


def test_judge_silent_guest_is_a_failure() -> None:
    lines = (*log("always", planned=2, end=False), "    # mended_a: going")
    result = seen(2, *lines, ended=Ended.SILENT, seconds=61.4)
    assert result.verdict is FAIL
    assert result.reason == "no answer for 61 s in case mended_a"
    assert not result.as_expected


def test_judge_lost_link_is_a_miss() -> None:
    lines = log("!always", planned=2, end=False)
    result = seen(2, *lines, ended=Ended.LOST, reason="QEMU was killed")
    assert (result.verdict, result.reason) == (MISS, "QEMU was killed")
    assert [case.verdict for case in result.cases] == [FAIL, MISS]


def test_judge_refused_module_is_an_error() -> None:
    unknown = "demo: Unknown symbol demo_gone (err -2)"
    taint = "demo: loading out-of-tree module taints kernel."
    result = seen(2, taint, unknown, ended=Ended.REFUSED, errno=errno.ENOENT)
    assert result.verdict is ERROR
    assert result.reason == f"the kernel refused module demo: ENOENT: {unknown}"
    result = seen(2, ended=Ended.REFUSED, errno=errno.ENOEXEC)
    assert result.reason == "the kernel refused module demo: ENOEXEC: Exec format error"
    result = seen(2, ended=Ended.REFUSED, reason="knob /proc/gone: no such file")
    assert result.reason == "knob /proc/gone: no such file"


def test_judge_module_without_ktap_is_an_error() -> None:
    result = seen(2, "demo: hello")
    assert (result.verdict, result.as_expected) == (ERROR, False)
    assert result.reason == "module demo loaded but printed no KTAP"


def test_judge_results_of_another_suite_are_an_error() -> None:
    lines = [line.replace("demo-suite", "other") for line in log("always", "mended_a")]
    result = seen(2, *lines)
    assert result.verdict is ERROR
    assert result.reason == "no results of suite demo-suite, but of other"


def test_module_that_skips_all_its_tests_is_a_skip() -> None:
    result = seen(2, "KTAP version 1", "1..0 # SKIP no swap")
    assert (result.verdict, result.as_expected) == (SKIP, True)


def test_subtest_that_announced_tests_and_ran_none_is_an_error() -> None:
    lines = ("    # Subtest: demo-suite", "    1..1", "        # Subtest: mended_a")
    result = seen(2, *lines, "    ok 1 mended_a", "ok 1 demo-suite")
    assert (result.verdict, result.reason) == (ERROR, "1 of 1 cases broke: mended_a")


def test_judge_fewer_cases_than_planned_are_an_error() -> None:
    result = seen(2, *log("always", "mended_a", planned=4))
    assert result.verdict is ERROR
    assert result.reason == "2 planned cases have no result"


def test_judge_suite_without_an_end_is_an_error() -> None:
    result = seen(2, *log("always", "mended_a", end=False))
    assert result.verdict is ERROR
    assert "have no end" in result.reason


def test_judge_unsound_ktap_is_an_error() -> None:
    result = seen(2, *log("always", "mended_a", planned=1))
    assert result.verdict is ERROR
    assert "unsound KTAP: demo-suite: 2 results for a plan of 1" in result.reason


def test_judge_module_that_cannot_be_unloaded_is_an_error() -> None:
    result = seen(2, *log("always", "mended_a"), reason="module demo cannot be unloaded: busy")
    assert (result.verdict, result.as_expected) == (ERROR, False)


def test_judge_splat_that_is_not_tolerated_is_a_failure() -> None:
    result = seen(2, WARNING, *log("always", "mended_a"))
    assert (result.verdict, result.reason) == (FAIL, "WARNING in demo_put (mm/demo.c)")
    assert not result.as_expected
    before = seen(1, WARNING, *log("always", "!mended_a"))
    assert (before.verdict, before.expected, before.as_expected) == (FAIL, FAIL, False)


def test_judge_complaint_that_no_rule_knows_is_a_failure_unless_tolerated() -> None:
    dump = ("demo: the state is odd", "CPU: 0 PID: 7 Comm: x", "Call Trace:", " demo_put+0x1/0x2")
    lines = (*dump, *log("mended_a", "always"))
    result = seen(2, *lines)
    assert (result.verdict, result.reason) == (
        FAIL, "unknown complaint: demo: the state is odd in demo_put",
    )  # fmt: skip
    test = replace(TEST, tolerated_splats=(SplatKind.UNCLASSIFIED,))
    outcome = TestOutcome(Ended.DONE, lines)
    assert judge(cell(2), test, SERIES, outcome, frozenset()).verdict is PASS
    died = TestOutcome(Ended.DIED, (*lines, *dump, "Kernel panic - not syncing: panic_on_warn set"))
    assert judge(cell(2), test, SERIES, died, frozenset()).verdict is FAIL, "no death is tolerated"


def test_judge_tolerated_splats_of_test_and_load_pass() -> None:
    lines = (OOM, WARNING, *log("always", "mended_a"))
    outcome = TestOutcome(Ended.DONE, lines)
    test = replace(TEST, tolerated_splats=(SplatKind.WARNING,))
    result = judge(cell(2, "anon"), test, SERIES, outcome, frozenset({SplatKind.OOM_KILL}))
    assert result.as_expected
    assert [splat.kind for splat in result.splats] == [SplatKind.OOM_KILL, SplatKind.WARNING]
    result = judge(cell(2, "anon"), test, SERIES, outcome, frozenset())
    assert (result.verdict, result.reason) == (FAIL, "OOM kill of anon")


def test_judge_splats_of_a_claim_are_tolerated_before_its_patch_only() -> None:
    claim = replace(TEST.proves[0], tolerated_splats=(SplatKind.WARNING,))
    test = replace(TEST, proves=(claim,))
    before = TestOutcome(Ended.DONE, (WARNING, *log("always", "!mended_a")))
    after = TestOutcome(Ended.DONE, (WARNING, *log("always", "mended_a")))
    result = judge(cell(1), test, SERIES, before, frozenset())
    assert (result.as_expected, result.reason) == (True, "1 of 2 cases failed: mended_a")
    assert not judge(cell(2), test, SERIES, after, frozenset()).as_expected
    assert not judge(cell(0), test, "another", after, frozenset()).as_expected


def test_judge_reason_names_three_splats_at_most() -> None:
    lines = [WARNING.replace("demo_put", f"demo_{letter}") for letter in "abcdefgh"]
    result = seen(2, *lines, *log("always", "mended_a"))
    assert result.reason.count("WARNING") == 3
    assert result.reason.endswith("5 more kinds of splats")


def test_judge_load_that_ended_is_an_error_unless_oom_killed() -> None:
    outcome = TestOutcome(Ended.DONE, log("always", "mended_a"), load_ended="anon: exit 1")
    tolerated_splats = frozenset({SplatKind.OOM_KILL})
    result = judge(cell(2, "anon"), TEST, SERIES, outcome, tolerated_splats)
    assert (result.verdict, result.reason) == (ERROR, "the load ended by itself: anon: exit 1")
    outcome = replace(outcome, log=(OOM, *outcome.log), load_ended="anon: signal 9")
    assert judge(cell(2, "anon"), TEST, SERIES, outcome, tolerated_splats).as_expected


def test_judge_reason_is_one_line() -> None:
    lines = ("    # a: x\n    y", *OOPS, WARNING, "BUG: odd \x01 thing", *log("!always", planned=3))
    for ended in Ended:
        result = seen(0, *lines, ended=ended, reason="why", load_ended="exit:1")
        assert "\n" not in result.reason
        assert result.reason


# ---------------------------------------------------------------- kernels that no test ran on


BROKEN = KernelFault(Stop.BUILD, "does not build: lib/a.c:4: error: x", "lib/a.c:4", patch=2)
HALTS = KernelFault(Stop.BOOT, "does not boot: halted in sort_r", "lib/sort.c:204", patch=2)


def test_judge_fault_is_a_failure_with_place_and_patch() -> None:
    result = judge_fault(cell(2), TEST, SERIES, BROKEN)
    assert (result.verdict, result.fault, result.as_expected) == (FAIL, BROKEN, False)
    assert result.reason == "does not build: lib/a.c:4: error: x, a line of patch 2"
    result = judge_fault(cell(2), TEST, SERIES, HALTS)
    assert result.reason == "does not boot: halted in sort_r (lib/sort.c:204), a line of patch 2"


def test_judge_fault_is_not_the_failure_that_was_expected_before_a_patch() -> None:
    result = judge_fault(cell(0), TEST, SERIES, HALTS)
    assert (result.verdict, result.expected) == (FAIL, FAIL)
    assert not result.as_expected


def test_splats_of_a_console() -> None:
    (splat,) = splats_of(OOPS)
    assert splat.kind is SplatKind.OOPS


@pytest.mark.parametrize("frames", [1, 60, 5000])
def test_splats_of_a_console_death_in_a_long_splat_is_one(frames: int) -> None:
    hung = ["INFO: task demo:7 blocked for more than 122 seconds.", *[" frame+0x1/0x2"] * 170]
    last = "Kernel panic - not syncing: hung_task: blocked tasks"
    assert any(map(is_death, splats_of([*hung, last, *[" frame+0x1/0x2"] * frames])))


def test_missed_result_has_its_reason() -> None:
    result = missed_result(cell(1), TEST, SERIES, "no kernel to boot: mm/demo.c:1: error")
    assert (result.verdict, result.expected, result.as_expected) == (MISS, FAIL, False)
    assert result.reason == "no kernel to boot: mm/demo.c:1: error"
