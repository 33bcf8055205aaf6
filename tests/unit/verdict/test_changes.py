# SPDX-License-Identifier: GPL-2.0-only
"""What each patch changed."""

from __future__ import annotations

from harness.model.results import CaseResult, CellResult, RunRecord
from harness.model.values import Cell, Plan, Verdict
from harness.verdict.changes import effects, what_changed

WORDS = {"P": Verdict.PASS, "F": Verdict.FAIL, "E": Verdict.ERROR, "M": Verdict.MISS,
         "S": Verdict.SKIP}  # fmt: skip
TITLES = ("first", "second", "third", "fourth")


def track(words: str, test: str = "t", arch: str = "arm64", load: str = "none") -> list[CellResult]:
    """Return a test's results by position, one letter each; "." where it was not run."""
    return [
        CellResult(Cell(arch, "b", position, (), 128, test, load), WORDS[word], Verdict.PASS, "")
        for position, word in enumerate(words)
        if word != "."
    ]


def run(*tracks: list[CellResult]) -> RunRecord:
    cells = tuple(result for one in tracks for result in one)
    return RunRecord("id", "", 0.0, "", Plan(), "", TITLES, "", "", "", "", cells=cells)


def texts(record: RunRecord) -> list[str]:
    return [change.text for change in what_changed(record)]


def test_the_patch_that_mends_is_named_once_for_all_architectures() -> None:
    record = run(track("FFPPP"), track("FFPPP", arch="x86_64"))
    (change,) = what_changed(record)
    assert (change.patch, change.since, change.archs) == (2, 1, ("arm64", "x86_64"))
    assert change.text == "t: FAIL → PASS on arm64, x86_64"


def test_loads_and_tests_are_told_apart() -> None:
    record = run(track("FFPPP"), track("FFFFP", load="anon"), track("PPPPP", test="u"))
    assert texts(record) == ["t: FAIL → PASS on arm64", "t + anon: FAIL → PASS on arm64"]
    assert [change.patch for change in what_changed(record)] == [2, 4]


def test_architectures_that_differ_are_changes_of_their_own() -> None:
    record = run(track("FFPPP"), track("FPPPP", arch="x86_64"))
    assert texts(record) == ["t: FAIL → PASS on x86_64", "t: FAIL → PASS on arm64"]


def test_back_and_forth_is_all_told() -> None:
    changes = what_changed(run(track("PFPFP")))
    assert [(c.patch, c.before.value, c.after.value) for c in changes] == [
        (1, "PASS", "FAIL"),
        (2, "FAIL", "PASS"),
        (3, "PASS", "FAIL"),
        (4, "FAIL", "PASS"),
    ]


def test_positions_without_a_word_on_the_kernel_widen_the_blame() -> None:
    record = run(track("F.EMP"))
    assert texts(record) == ["t: FAIL → PASS on arm64 (by one of patches 1 to 4)"]
    assert all(effect.changes and effect.judged for effect in effects(record))


def test_a_patch_that_changes_nothing_says_so() -> None:
    told = {effect.number: effect.text for effect in effects(run(track("FFPPP")))}
    assert told == {
        1: "changes no verdict",
        2: "t: FAIL → PASS on arm64",
        3: "changes no verdict",
        4: "changes no verdict",
    }
    assert [effect.title for effect in effects(run())] == list(TITLES)


def test_a_patch_that_was_not_tested_does_not_pass_for_harmless() -> None:
    told = {effect.number: effect.judged for effect in effects(run(track("FP..."), track("MMMMM")))}
    assert told == {1: True, 2: False, 3: False, 4: False}
    assert "not tested" in effects(run())[0].text


def test_cases_that_turn_inside_a_failing_test_are_a_change() -> None:
    first, second = track("FF")
    cases = [CaseResult("a", Verdict.FAIL), CaseResult("b", Verdict.FAIL)]
    first = CellResult(first.cell, Verdict.FAIL, Verdict.FAIL, "", cases=tuple(cases))
    cases[0] = CaseResult("a", Verdict.PASS)
    second = CellResult(second.cell, Verdict.FAIL, Verdict.FAIL, "", cases=tuple(cases))
    (change,) = what_changed(run([first, second]))
    assert (change.before, change.after, change.cases) == (Verdict.FAIL, Verdict.FAIL, ("a",))
    assert change.text == "t: still FAIL, but not in the same cases: a on arm64"


def test_order_of_the_record_does_not_matter() -> None:
    tracks = [*track("FFPPP"), *track("PPPFF", test="u")]
    assert what_changed(run(tracks)) == what_changed(run(tracks[::-1]))
