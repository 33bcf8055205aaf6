# SPDX-License-Identifier: GPL-2.0-only
"""Sentences on what each patch changed."""

from __future__ import annotations

from dataclasses import replace

from harness.model.results import CaseResult, CellResult, RunRecord
from harness.model.values import Verdict
from harness.report.patch_summary import patch_entries
from tests.unit.verdict.test_changes import run, stopped, track


def sentences(record: RunRecord, patch: int) -> list[str]:
    return [sentence.text for sentence in patch_entries(record)[patch - 1].sentences]


def test_patch_entries_archs_are_in_the_order_of_the_plan() -> None:
    record = run(track("FFP"), track("FFP", arch="x86_64"))
    assert sentences(record, 2) == ["turns t from FAIL to PASS on x86_64, arm64"]
    assert [entry.quiet for entry in patch_entries(record)] == [True, False, True, True]


def test_patch_entries_loads_are_named_where_the_run_has_some() -> None:
    record = run(track("FP"), track("FP", load="anon"))
    assert sentences(record, 1) == ["turns t from FAIL to PASS on arm64, with and without load"]
    record = run(track("FP"), track("FF", load="anon"))
    assert sentences(record, 1) == ["turns t from FAIL to PASS on arm64, without load"]


def test_patch_entries_other_suspects_are_named() -> None:
    text = "turns t from FAIL to PASS on arm64 (this or another of patches 1 to 2)"
    assert sentences(run(track("F.P")), 1) == sentences(run(track("F.P")), 2) == [text]


def test_patch_entries_new_failure_is_bad() -> None:
    (entry, *_) = patch_entries(run(track("PF")))
    assert [sentence.bad for sentence in entry.sentences] == [True]


def test_patch_entries_cases_within_a_failing_test_are_named() -> None:
    before, after = (replace(r, cases=(CaseResult("a", r.verdict),)) for r in track("FP"))
    after = replace(after, verdict=Verdict.FAIL)
    assert sentences(run([before, after]), 1) == ["leaves t at FAIL but turns its case a on arm64"]


def test_patch_entries_without_change_and_without_test() -> None:
    assert sentences(run(track("PP")), 1) == ["changes no verdict"]
    assert sentences(run(track("PP")), 2) == [
        "not tested: no test has verdicts before and after it"
    ]


def test_patch_entries_broken_kernel_is_one_sentence_for_all_tests() -> None:
    tracks = [track("PFP", test, arch) for test in ("t", "u", "v") for arch in ("arm64", "x86_64")]
    for one in tracks:
        stopped(one, 1)
    assert sentences(run(*tracks), 1) == ["does not build: a.c:4: error: x (on x86_64, arm64)"]
    assert sentences(run(*tracks), 2) == ["mends the kernel: it builds again (on x86_64, arm64)"]
    (entry, *_) = patch_entries(run(*tracks))
    assert [sentence.bad for sentence in entry.sentences] == [True]


def test_patch_entries_broken_kernel_has_all_its_suspects() -> None:
    broken = track("P.F")
    stopped(broken, 1)
    text = "does not build: a.c:4: error: x (on arm64) (this or another of patches 1 to 2)"
    assert sentences(run(broken), 1) == sentences(run(broken), 2) == [text]


def convict(results: list[CellResult], patch: int) -> None:
    """Let the faults of *results* lead to a line of *patch*."""
    for number, result in enumerate(results):
        if result.fault is not None:
            results[number] = replace(result, fault=replace(result.fault, patch=patch))


def test_patch_entries_line_of_one_patch_clears_the_other_suspects() -> None:
    broken = track("P..F")
    stopped(broken, 1)
    convict(broken, 2)
    record = run(broken)
    assert sentences(record, 2) == ["does not build: a.c:4: error: x (on arm64)"]
    assert sentences(record, 1) == ["not tested alone, but from position 0 to 3"]


def test_patch_entries_positions_behind_a_broken_one_are_not_tested() -> None:
    broken = track("PFF")
    stopped(broken, 1, 2)
    convict(broken, 1)
    record = run(broken)
    assert sentences(record, 1) == ["does not build: a.c:4: error: x (on arm64)"]
    assert sentences(record, 2) == ["not tested: the kernel does not build, since patch 1"]


def test_patch_entries_broken_patch_without_a_position_before_it_is_told() -> None:
    broken = track(".F")
    stopped(broken, 0)
    convict(broken, 1)
    (entry, *_) = patch_entries(run(broken))
    assert entry.sentences[0].text.startswith("does not build: a.c:4: error: x")
    assert (entry.sentences[0].bad, entry.tested) == (True, True)
