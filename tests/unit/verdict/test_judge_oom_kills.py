# SPDX-License-Identifier: GPL-2.0-only
"""What an OOM kill means for a verdict: by whom it took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.results import CellResult, Ended, TestOutcome
from harness.model.values import SplatKind, Verdict
from harness.verdict.judge import judge
from tests.unit.golden import FOLDER
from tests.unit.verdict.test_judge import (
    ERROR,
    FAIL,
    KILL,
    MISS,
    PASS,
    SERIES,
    TEST,
    cell,
    log,
    seen,
)


def oom_kills(*names: str, load: str = "none", own: bool = False, **more: object) -> CellResult:
    """Judge a run with these victims; with *own*, the test tolerates them."""
    test = replace(TEST, tolerated_splats=(SplatKind.OOM_KILL,) if own else ())
    tolerated_splats = frozenset({SplatKind.OOM_KILL} if load != "none" else ())
    lines = (*(KILL % name for name in names), *log("always", "mended_a"))
    outcome = replace(TestOutcome(Ended.DONE, lines), **more)  # type: ignore[arg-type]
    return judge(cell(2, load), test, SERIES, outcome, tolerated_splats)


@pytest.mark.parametrize(
    ("victim", "load", "own", "verdict"),
    [
        ("anon", "anon:300%", False, PASS),
        ("xfs-metadata", "anon+xfs-metadata", False, PASS),
        ("busybox", "none", True, PASS),
        ("busybox", "anon", True, PASS),
        ("busybox", "none", False, FAIL),
        ("busybox", "anon", False, FAIL),
        ("anon", "hog", False, FAIL),
        ("insmod", "none", False, FAIL),
        ("insmod", "anon", False, FAIL),
        ("insmod", "none", True, FAIL),
        ("rmmod", "anon", True, FAIL),
        ("init", "none", True, MISS),
        ("sampler", "anon", False, MISS),
        ("dropbear", "anon", True, MISS),
    ],
)
def test_judge_oom_kill_verdict_depends_on_the_victim(
    victim: str, load: str, own: bool, verdict: Verdict
) -> None:
    result = oom_kills(victim, load=load, own=own)
    assert (result.verdict, result.as_expected) == (verdict, verdict is PASS)
    if verdict is not PASS:
        assert result.reason.startswith("the OOM killer took ")
        assert f", {victim}" in result.reason
        assert "; " not in result.reason, "said once"


def test_judge_oom_kill_reason_names_the_request() -> None:
    lines = (FOLDER / "oom/seen-global-7.2-x86_64.log").read_text().replace("(anon)", "(insmod)")
    result = seen(2, *lines.split("\n"), ended=Ended.REFUSED, reason="module demo: signal 9")
    assert (result.verdict, result.reason) == (
        FAIL,
        "the OOM killer took the task that loads the test, insmod (asked by init, order 0, "
        "GFP_KERNEL|__GFP_HIGHMEM|__GFP_NOWARN, no constraint); module demo: signal 9",
    )


def test_judge_oom_kill_of_the_guest_itself_is_a_miss() -> None:
    result = oom_kills("anon", "insmod", "sampler", load="anon")
    assert result.verdict is MISS
    assert result.reason == (
        "the OOM killer took the guest's own part, sampler; "
        "the OOM killer took the task that loads the test, insmod"
    )


def test_judge_oom_kill_of_the_loader_in_a_storm_is_a_failure() -> None:
    result = oom_kills(*["anon"] * 5000, "insmod", load="anon")
    assert result.verdict is FAIL
    result = oom_kills(*(f"program-{n}" for n in range(300)), load="anon")
    assert result.reason.endswith("297 more kinds of OOM kills of a program of the test")
    assert len(result.reason) < 1000


def test_judge_quoted_oom_kill_is_ignored() -> None:
    lines = (f"    # always: it said\n{KILL % 'insmod'}", *log("always", "mended_a"))
    assert seen(2, *lines).as_expected


def test_judge_end_of_a_load_is_tolerated_after_its_oom_kill_only() -> None:
    ended = "anon: signal 9"
    assert oom_kills("anon", load="anon", load_ended=ended).as_expected
    result = oom_kills("busybox", load="anon", own=True, load_ended=ended)
    assert (result.verdict, result.reason) == (ERROR, f"the load ended by itself: {ended}")


@pytest.mark.parametrize("name", ["xfs-metadata", "one-that-has-a-long-name"])
def test_judge_oom_kill_of_one_load_does_not_tolerate_the_end_of_another(name: str) -> None:
    both = f"anon+{name}"
    ended = f"anon: signal 9; {name}: signal 9"
    assert oom_kills("anon", name[:15], load=both, load_ended=ended).as_expected
    result = oom_kills("anon", load=both, load_ended=ended)
    assert (result.verdict, result.reason) == (ERROR, f"the load ended by itself: {name}: signal 9")


def test_judge_exit_of_a_load_is_an_error_despite_oom_kills() -> None:
    ended = "xfs-metadata: exit 1"
    for killed in (["anon"], ["xfs-metadata"], ["anon", "xfs-metadata"]):
        result = oom_kills(*killed, load="anon+xfs-metadata", load_ended=ended)
        assert (result.verdict, result.reason) == (ERROR, f"the load ended by itself: {ended}")
