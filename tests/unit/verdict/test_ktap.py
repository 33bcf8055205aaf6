# SPDX-License-Identifier: GPL-2.0-only
"""Reading KTAP: golden logs, and anything at all.

A new golden case is a ``NAME.log`` in ``golden/ktap``; ``UPDATE_GOLDEN=1 pytest`` writes the
``NAME.json`` beside it, which is then read by a person before it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.model.results import CaseResult
from harness.model.values import Verdict
from harness.verdict import ktap
from harness.verdict.klog import log_lines
from harness.verdict.ktap import KtapResult, KtapTest, parse
from tests.unit.golden import golden_logs, matches_golden


def read(lines: Iterable[str]) -> KtapResult:
    return parse(log_lines(lines))


def _case(case: CaseResult) -> dict[str, Any]:
    shown = {
        "verdict": case.verdict.value,
        "directive": case.directive,
        "diagnostics": list(case.diagnostics),
    }
    return {"name": case.name, **{key: value for key, value in shown.items() if value}}


@pytest.mark.parametrize("log", golden_logs("ktap"), ids=lambda log: log.stem)
def test_parse_golden_logs(log: Path) -> None:
    result = read(log.read_text(encoding="utf-8").splitlines())
    seen = {
        "cases": [_case(case) for case in result.cases()],
        "suites": [f"{test.name}: {test.verdict.value}" for test in result.tests],
        "complete": result.complete,
        "missing": result.missing,
        "running": result.running,
        "problems": list(result.problems),
    }
    matches_golden(seen, log.with_suffix(".json"))


def names(result: KtapResult) -> list[str]:
    return [case.name for case in result.cases()]


def verdicts(*lines: str, unfinished: Verdict = Verdict.ERROR) -> dict[str, str]:
    return {case.name: case.verdict.value for case in read(lines).cases(unfinished)}


def test_cases_without_result_get_the_given_verdict() -> None:
    log = ("    # Subtest: s", "    1..2", "    ok 1 - a", "    # b: working")
    assert verdicts(*log) == {"a": "PASS", "b": "ERROR"}
    assert verdicts(*log, unfinished=Verdict.FAIL) == {"a": "PASS", "b": "FAIL"}
    assert read(log).running == "b"


def test_running_is_no_case_that_has_a_result() -> None:
    log = ("    # Subtest: s", "    1..2", "    ok 1 - a", "    # a: late word", "    # s: suite")
    assert read(log).running == "case 2"


def test_parse_truncated_log_keeps_results_and_is_incomplete() -> None:
    log = (Path(__file__).parents[1] / "golden/ktap/kunit-6.1.log").read_text().splitlines()
    whole = {case.name: case.verdict for case in read(log).cases()}
    for length in range(len(log)):
        part = read(log[:length])
        assert not part.complete
        for case in part.cases():
            if case.verdict is not Verdict.ERROR:
                assert case.verdict is whole[case.name], (length, case.name)


@pytest.mark.parametrize(
    ("line", "verdict", "directive"),
    [
        ("ok 1 x", "PASS", ""),
        ("not ok 1 x", "FAIL", ""),
        ("ok 1 x # SKIP why", "SKIP", "SKIP"),
        ("not ok 1 x # skip", "SKIP", "SKIP"),
        ("ok 1 x # SKIPPED: why", "SKIP", "SKIP"),
        ("not ok 1 x # TODO later", "DONE", "TODO"),
        ("ok 1 x # TODO later", "PASS", "TODO"),
        ("not ok 1 x # XFAIL known", "PASS", "XFAIL"),
        ("ok 1 x # XFAIL known", "PASS", "XFAIL"),
        ("not ok 1 x # TIMEOUT 45 seconds", "FAIL", "TIMEOUT"),
        ("not ok 1 x # ERROR no file", "ERROR", "ERROR"),
        ("ok 1 x # ERRORS none", "PASS", ""),
        ("ok 1 x # error path", "PASS", ""),
        ("not ok 1 x # error path", "FAIL", ""),
        ("ok 1 x # timeout of 45 seconds is kept", "PASS", ""),
        ("not ok 1 x # todo list", "FAIL", ""),
        ("ok 1 x # ERROR-free", "PASS", ""),
        ("ok 1 x # skipping nothing", "PASS", ""),
        ("ok 1 x # skip-list", "PASS", ""),
        ("ok 1 x # rcode=0", "PASS", ""),
        ("not ok 1 x # exit=1", "FAIL", ""),
        ("ok 1 x # SKIP:why", "SKIP", "SKIP"),
        ("ok 1 x #SKIP why", "SKIP", "SKIP"),
        ("ok 1 x # skipped: why", "SKIP", "SKIP"),
        ("ok 1 x # Skip", "SKIP", "SKIP"),
        ("not ok 1 x # TODO", "DONE", "TODO"),
        ("not ok 1 x # TIMEOUT", "FAIL", "TIMEOUT"),
        ("ok 1 x # UNKNOWN word", "PASS", ""),
        ("ok 1 - x", "PASS", ""),
        ("ok 1 x # 5 skips", "PASS", ""),
    ],
)
def test_parse_directives(line: str, verdict: str, directive: str) -> None:
    (case,) = read([line]).cases()
    assert (case.name, case.verdict.value, case.directive) == ("x", verdict, directive)


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        ("- minus - in - name", "minus - in - name"),
        ("-1 is no dash", "-1 is no dash"),
        ("with#hash", "with#hash"),
        ("#2", "#2"),
        (r"with \# hash", "with # hash"),
        (r"no \# SKIP", "no # SKIP"),
        (r"back\\slash", "back\\slash"),
        (r"one\slash", r"one\slash"),
        ("hash # in name # SKIP why", "hash # in name"),
        ("name # remark", "name"),
        ("", "case 1"),
    ],
)
def test_parse_names(rest: str, name: str) -> None:
    assert names(read([f"ok 1 {rest}".rstrip()])) == [name]


@pytest.mark.parametrize(
    "line",
    ["okay 1 x", "ok", "ok x", "ok 1x", "not  ok 1 x", "OK 1 x", "ok 1234567890 x", "# ok 1 x"],
)
def test_parse_lines_that_are_no_results(line: str) -> None:
    assert read([line]).tests == ()


def test_parse_diagnostics_belong_to_the_next_case_and_are_bounded() -> None:
    many = [f"    # noisy: line {n}" for n in range(10_000)]
    log = [
        "    # Subtest: s",
        "    1..2",
        *many,
        "    ok 1 - noisy",
        "    ok 2 - quiet",
        "ok 1 - s",
    ]
    noisy, quiet = read(log).cases()
    assert quiet.diagnostics == ()
    assert len(noisy.diagnostics) == ktap.MAX_DIAGNOSTICS + 1
    assert noisy.diagnostics[0].endswith("line 0")
    assert noisy.diagnostics[-1].endswith("line 9999")
    assert "[... 9800 lines ...]" in noisy.diagnostics


def test_parse_depth_is_bounded() -> None:
    log = [" " * depth + "ok 1 x" for depth in range(0, 4000, 2)]
    depth, level = 0, read(log).tests
    while level:
        depth, level = depth + 1, level[-1].tests
    assert depth <= ktap.MAX_DEPTH


def test_parse_number_of_results_is_bounded() -> None:
    result = read(f"ok {n} x" for n in range(ktap.MAX_RESULTS + 10))
    assert len(result.tests) == ktap.MAX_RESULTS
    assert any("the rest is not read" in problem for problem in result.problems)


def test_parse_number_of_skipped_plans_is_bounded() -> None:
    result = read(["1..0 # SKIP why"] * (ktap.MAX_RESULTS + 10))
    assert (len(result.tests), result.skipped) == (ktap.MAX_RESULTS, True)
    assert not read(["1..0 # SKIP why", "1..1", "ok 1 a"]).skipped
    assert not read(["1..0"]).skipped


def test_parse_long_lines_are_cut() -> None:
    (case,) = read(["# " + "x" * 10_000_000, "ok 1 " + "y" * 10_000_000]).cases()
    assert len(case.name) == ktap.MAX_NAME
    assert len(case.diagnostics[0]) < 5000


def test_missing_of_a_skipped_suite_is_zero() -> None:
    result = read(["    # Subtest: s", "    1..5", "ok 1 s # SKIP wrong machine"])
    assert result.missing == 0
    assert result.complete
    assert verdicts("    # Subtest: s", "    1..5", "ok 1 s # SKIP wrong") == {"s": "SKIP"}


def test_parse_plans_of_several_modules_add_up() -> None:
    one = ("KTAP version 1", "1..1", "ok 1 a")
    assert read(one + one).planned == 2
    assert read(one + one).complete
    assert read((*one, *one[:2])).missing == 1


# ---------------------------------------------------------------- anything at all

WORDS = st.sampled_from(
    ["ok 1 - a", "not ok 2 b", "ok 3 c # SKIP", "1..3", "1..0", "KTAP version 1", "TAP version 14",
     "# Subtest: s", "# a: says", "Bail out!", "[    1.234567] ", "", "random text", "\\x0a",
     "TAP version 13", "# Subtest: a", "1..0 # SKIP why", "ok", "not ok", "not ok a", "ok 1 s"]
)  # fmt: skip
LINES = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.builds(lambda indent, words: " " * indent + words, st.integers(0, 20), WORDS),
        st.builds("".join, st.lists(WORDS, max_size=4)),
    ),
    max_size=60,
)


def size(tests: tuple[KtapTest, ...]) -> int:
    return sum(1 + size(test.tests) for test in tests)


@settings(deadline=None)
@given(LINES)
def test_parse_any_text_gives_a_bounded_result(lines: list[str]) -> None:
    result = read(lines)
    pieces = sum(line.count("\n") + line.count("\\x0a") + line.count("[ ") + 1 for line in lines)
    # Each line opens at most one level and ends at most one test.
    assert size(result.tests) <= 2 * pieces + 1
    cases = result.cases()
    assert len({case.name for case in cases}) == len(cases)
    assert len(cases) <= size(result.tests)
    assert len(result.problems) <= ktap.MAX_PROBLEMS
    assert result.missing >= 0
    if result.running:
        assert not result.complete


@settings(deadline=None)
@given(LINES)
@example([" ok 0", "  ok 0", "not ok 0"])
def test_parse_any_interleaving_keeps_a_failure(lines: list[str]) -> None:
    """However lines are mixed, a result line that says "not ok" leaves a trace."""
    failed = any(
        test.finished and test.verdict is Verdict.FAIL for test in _flat(read(lines).tests)
    )
    bad = (Verdict.FAIL, Verdict.ERROR)
    assert not failed or any(case.verdict in bad for case in read(lines).cases())


def _flat(tests: tuple[KtapTest, ...]) -> list[KtapTest]:
    return [found for test in tests for found in (test, *_flat(test.tests))]
