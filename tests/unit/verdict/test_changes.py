# SPDX-License-Identifier: GPL-2.0-only
"""What each patch changed."""

from __future__ import annotations

from dataclasses import replace

from harness.model.results import CaseResult, CellResult, KernelFault, RunRecord, Stop
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


def archs_by_load(record: RunRecord) -> list[tuple[str, tuple[str, ...]]]:
    return [(change.load, change.archs) for change in what_changed(record)]


def test_what_changed_same_change_on_all_architectures_is_one() -> None:
    record = run(track("FFPPP"), track("FFPPP", arch="x86_64"))
    (change,) = what_changed(record)
    assert (change.patch, change.since, change.archs) == (2, 1, ("arm64", "x86_64"))
    assert (change.before, change.after) == (Verdict.FAIL, Verdict.PASS)


def test_what_changed_other_load_or_test_is_another_change() -> None:
    record = run(track("FFPPP"), track("FFFFP", load="anon"), track("PPPPP", test="u"))
    assert archs_by_load(record) == [("none", ("arm64",)), ("anon", ("arm64",))]
    assert [change.patch for change in what_changed(record)] == [2, 4]


def test_what_changed_architectures_that_differ_are_separate() -> None:
    record = run(track("FFPPP"), track("FPPPP", arch="x86_64"))
    assert archs_by_load(record) == [("none", ("x86_64",)), ("none", ("arm64",))]


def test_what_changed_each_flip_of_a_verdict_is_a_change() -> None:
    changes = what_changed(run(track("PFPFP")))
    assert [(c.patch, c.before.value, c.after.value) for c in changes] == [
        (1, "PASS", "FAIL"),
        (2, "FAIL", "PASS"),
        (3, "PASS", "FAIL"),
        (4, "FAIL", "PASS"),
    ]


def test_what_changed_skipped_positions_add_suspects() -> None:
    record = run(track("F.EMP"))
    assert [(c.since, c.patch) for c in what_changed(record)] == [(0, 4)]
    assert all(effect.changes and effect.judged for effect in effects(record))


def test_effects_patch_without_change() -> None:
    changed = {effect.number: bool(effect.changes) for effect in effects(run(track("FFPPP")))}
    assert changed == {1: False, 2: True, 3: False, 4: False}
    assert [effect.title for effect in effects(run())] == list(TITLES)


def test_effects_untested_patch_is_not_judged() -> None:
    record = run(track("FP..."), track("MMMMM"))
    assert {effect.number: effect.judged for effect in effects(record)} == {
        1: True,
        2: False,
        3: False,
        4: False,
    }
    assert not any(effect.judged for effect in effects(run()))


def test_what_changed_cases_within_a_failing_test() -> None:
    first, second = track("FF")
    cases = [CaseResult("a", Verdict.FAIL), CaseResult("b", Verdict.FAIL)]
    first = CellResult(first.cell, Verdict.FAIL, Verdict.FAIL, "", cases=tuple(cases))
    cases[0] = CaseResult("a", Verdict.PASS)
    second = CellResult(second.cell, Verdict.FAIL, Verdict.FAIL, "", cases=tuple(cases))
    (change,) = what_changed(run([first, second]))
    assert (change.before, change.after, change.cases) == (Verdict.FAIL, Verdict.FAIL, ("a",))


def test_what_changed_order_of_cells_does_not_matter() -> None:
    tracks = [*track("FFPPP"), *track("PPPFF", test="u")]
    assert what_changed(run(tracks)) == what_changed(run(tracks[::-1]))


# ---------------------------------------------------------------- kernels with a fault


def stopped(results: list[CellResult], *positions: int, what: str = "", line: int = 4) -> None:
    """Give the results at *positions* a kernel that does not build."""
    fault = KernelFault(Stop.BUILD, what or f"does not build: a.c:{line}: error: x", f"a.c:{line}")
    for position in positions:
        results[position] = replace(results[position], fault=fault)


def test_what_changed_broken_build_is_told_from_a_failing_test() -> None:
    broken = track("PFP")
    stopped(broken, 1)
    first, second = what_changed(run(broken))
    assert (first.patch, first.stopped, first.mended) == (1, broken[1].fault, None)
    assert (second.patch, second.stopped, second.mended) == (2, None, broken[1].fault)


def test_what_changed_broken_build_counts_where_the_test_failed_before() -> None:
    broken = track("FFF")
    stopped(broken, 1)
    assert [change.patch for change in what_changed(run(broken))] == [1, 2]


def test_what_changed_same_fault_on_another_line_is_no_change() -> None:
    broken = track("PFF")
    stopped(broken, 1, line=4)
    stopped(broken, 2, line=9)
    assert [change.patch for change in what_changed(run(broken))] == [1]
    stopped(broken, 2, what="does not build: b.c:9: error: y")
    assert [change.patch for change in what_changed(run(broken))] == [1, 2]
