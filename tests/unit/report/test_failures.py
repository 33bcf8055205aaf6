# SPDX-License-Identifier: GPL-2.0-only
"""Failed expectations on one line, from what real kernels printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.model.results import CaseResult, CellResult
from harness.model.values import Cell, Verdict
from harness.report.failures import LINE_LIMIT, expectation, failed_cases
from tests.unit.golden import __file__ as golden

CELL = Cell("arm64", "debian:5.10", 2, (), 128, "some-test", "none")


def diagnostics(log: str, case: str) -> tuple[str, ...]:
    cases = json.loads((Path(golden).parent / "ktap" / f"{log}.json").read_text())["cases"]
    return tuple(next(c for c in cases if c["name"] == case)["diagnostics"])


@pytest.mark.parametrize(
    ("log", "case", "said"),
    [
        (
            "kunit-6.1",
            "sizes_each.page and a half",
            "drivers/demo/sizes.c:88: Expected got == want, but got == 12 (0xc), want == 16 (0x10)",
        ),
        (
            "kunit-5.10",
            "alloc_large",
            "/src/demo/alloc.c:61: Expected p is not null, but is",
        ),
        (
            "seen-nofail-sweep-arm64-5.10-base",
            "nofail_one_page",
            "/src/vmalloc-nofail-sweep/vmalloc_nofail_sweep.c:22: Expected sweep.nulls == 0u, "
            "but sweep.nulls == 2, 0u == 0 (NULL in spite of __GFP_NOFAIL)",
        ),
    ],
)
def test_expectation_of_a_kernels_own_words(log: str, case: str, said: str) -> None:
    assert expectation(diagnostics(log, case)) == said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), ""),
        (("# a: said something",), ""),
        (("# a: ASSERTION FAILED at a.c:1",), "a.c:1"),
        (("# a: EXPECTATION FAILED at a.c:1", "not ok 1 - a"), "a.c:1"),
        (("EXPECTATION FAILED at a.c:1\n  E x, but\n    x == 0",), "a.c:1: E x, but x == 0"),
        (("EXPECTATION FAILED at a.c:1", "E", "# EXPECTATION FAILED at b.c:2", "F"), "a.c:1: E"),
    ],
)
def test_expectation_of_other_lines(lines: tuple[str, ...], said: str) -> None:
    assert expectation(lines) == said


def test_expectation_of_hostile_lines_is_one_bounded_line() -> None:
    flood = ("EXPECTATION FAILED at " + "x" * 10_000 + ":1",) * 1000
    assert len(
        expectation((*flood, "EXPECTATION FAILED at a.c:1", *["  \x1b[2J " * 9999] * 9))
    ) <= (LINE_LIMIT)
    assert "\x1b" not in expectation(("EXPECTATION FAILED at a\x1b.c:1", "\x1b[2J"))


def test_failed_cases_are_those_that_differ_with_why() -> None:
    cases = (
        CaseResult("fine", Verdict.PASS),
        CaseResult("declared", Verdict.FAIL, Verdict.FAIL),
        CaseResult("early", Verdict.PASS, Verdict.FAIL),
        CaseResult("bad", Verdict.FAIL, diagnostics=("# bad: EXPECTATION FAILED at a.c:1",)),
        CaseResult("mute", Verdict.FAIL),
        CaseResult("own words", Verdict.FAIL, diagnostics=("# wrong: 5",)),
    )
    result = CellResult(CELL, Verdict.FAIL, Verdict.PASS, "why", cases)
    assert [case.text for case in failed_cases(result)] == [
        "early: PASS, expected FAIL",
        "bad: a.c:1",
        "mute",
        "own words: # wrong: 5",
    ]
