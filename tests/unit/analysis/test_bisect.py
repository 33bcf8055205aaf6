# SPDX-License-Identifier: GPL-2.0-only
"""The search for the patch that turned a verdict."""

from __future__ import annotations

from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bisect import Seek, conclude, exit_code, next_position, search
from harness.model.errors import (
    BuildError,
    GuestError,
    HarnessError,
    InfraError,
    Interrupted,
    PatchError,
    UserError,
)
from harness.model.values import Verdict

WORDS = {"P": Verdict.PASS, "F": Verdict.FAIL, "M": Verdict.MISS, "E": Verdict.ERROR,
         "S": Verdict.SKIP}  # fmt: skip


def found(words: str, seek: Seek = "bad") -> tuple[tuple[int, ...], str, list[int]]:
    """Search a series whose verdicts are *words*; return suspects, text and what was tried."""
    tried: list[int] = []

    def probe(position: int) -> Verdict:
        tried.append(position)
        return WORDS[words[position]]

    finding = search(range(len(words)), probe, seek)
    return finding.suspects, finding.text, tried


def test_bisect_finds_first_bad_position() -> None:
    suspects, text, tried = found("PPPFF")
    assert suspects == (3,)
    assert text == "first bad position: 3"
    assert len(tried) == len(set(tried)) == 4


def test_bisect_finds_fixing_position() -> None:
    assert found("FFPPP", "fix")[:2] == ((2,), "first fixing position: 2")
    assert found("FP", "fix")[0] == (1,)


def test_bisect_with_untestable_positions_leaves_range() -> None:
    suspects, text, tried = found("PPMEFF")
    assert suspects == (2, 3, 4)
    assert text == "first bad position: one of 2 to 4 (2 of them have no verdict)"
    assert {1, 2, 3, 4} <= set(tried), "both sides of the range were settled"


def test_bisect_ignores_untestable_positions_elsewhere() -> None:
    assert found("MPPFFM")[0] == (3,)
    assert found("PSPFSF")[0] == (3,)


@pytest.mark.parametrize(
    ("words", "seek", "text"),
    [
        ("FFFF", "bad", "position 0 already fails"),
        ("PPPP", "fix", "position 0 already passes"),
        ("PPPP", "bad", "no position fails: 0 to 3 were tried"),
        ("MMMM", "bad", "no position could be tested"),
        ("MFFF", "bad", "position 1 already fails"),
    ],
)
def test_bisect_without_change_says_so(words: str, seek: Seek, text: str) -> None:
    suspects, said, _ = found(words, seek)
    assert (suspects, said) == ((), text)


def test_bisect_without_change_tries_two_positions() -> None:
    assert found("P" * 50)[2] == [0, 49]
    assert found("F" * 50)[2] == [0]


def test_bisect_tries_no_position_twice() -> None:
    known = {0: Verdict.PASS, 2: Verdict.PASS, 4: Verdict.FAIL}
    assert next_position(range(5), known, "bad") == 3
    assert next_position(range(5), {**known, 3: Verdict.PASS}, "bad") is None
    assert conclude(range(5), known, "bad").suspects == (3, 4)


def test_positions_may_have_gaps() -> None:
    known = {0: Verdict.PASS, 6: Verdict.FAIL}
    assert next_position((0, 3, 6), known, "bad") == 3
    assert conclude((0, 6), known, "bad").position == 6


def test_bisect_of_several_changes_finds_first() -> None:
    known = {n: WORDS[word] for n, word in enumerate("PFPF")}
    assert conclude(range(4), known, "bad").position == 1


@settings(deadline=None)
@given(st.integers(1, 200), st.data())
def test_bisect_of_single_change_takes_few_steps(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, count))
    suspects, _, tried = found("P" * first + "F" * (count + 1 - first))
    assert suspects == (first,)
    assert len(tried) <= 2 + ceil(log2(count + 1))


@settings(deadline=None)
@given(st.text("PFMES", min_size=1, max_size=40), st.sampled_from(["bad", "fix"]))
def test_bisect_range_ends_in_changed_verdict(words: str, seek: Seek) -> None:
    suspects, text, tried = found(words, seek)
    old, new = ("P", "F") if seek == "bad" else ("F", "P")
    assert text
    assert len(tried) == len(set(tried))
    if suspects:
        assert words[suspects[-1]] == new
        assert words[suspects[0] - 1] == old
        assert all(words[position] in "MES" for position in suspects[:-1])


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (Verdict.PASS, 0),
        (Verdict.DONE, 0),
        (Verdict.FAIL, 1),
        (Verdict.ERROR, 125),
        (Verdict.MISS, 125),
        (Verdict.SKIP, 125),
        (BuildError("x"), 125),
        (PatchError("x"), 125),
    ],
)
def test_exit_codes_of_git_bisect_run(seen: Verdict | HarnessError, code: int) -> None:
    assert exit_code(seen) == code


@pytest.mark.parametrize(
    "error", [GuestError("x"), InfraError("x"), UserError("x"), Interrupted("x")]
)
def test_bisect_aborts_on_harness_error(error: HarnessError) -> None:
    assert 128 <= exit_code(error) <= 255
