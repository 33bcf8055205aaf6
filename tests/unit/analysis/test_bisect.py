# SPDX-License-Identifier: GPL-2.0-only
"""The search for the patch that turned a verdict."""

from __future__ import annotations

from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bisect import (
    Known,
    Seek,
    Seen,
    conclude,
    exit_code,
    next_position,
    search,
    seen_in,
)
from harness.model.errors import (
    BuildError,
    GuestError,
    HarnessError,
    InfraError,
    Interrupted,
    PatchError,
    UserError,
)
from harness.model.results import CellResult, Frame, KernelFault, Place, Splat, Stop
from harness.model.values import Cell, SplatKind, Verdict

WORDS = {"P": Verdict.PASS, "F": Verdict.FAIL, "M": Verdict.MISS, "E": Verdict.ERROR,
         "S": Verdict.SKIP}  # fmt: skip


def found(words: str, seek: Seek = "bad") -> tuple[tuple[int, ...], str, list[int]]:
    """Search a series whose verdicts are *words*; return suspects, text and what was tried."""
    tried: list[int] = []

    def probe(position: int) -> Seen:
        tried.append(position)
        return Seen(WORDS[words[position]])

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
        ("PPPP", "bad", "no position fails: 0 and 3 were tried"),
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
    known = {0: Seen(Verdict.PASS), 2: Seen(Verdict.PASS), 4: Seen(Verdict.FAIL)}
    assert next_position(range(5), known, "bad") == 3
    assert next_position(range(5), {**known, 3: Seen(Verdict.PASS)}, "bad") is None
    assert conclude(range(5), known, "bad").suspects == (3, 4)


def test_positions_may_have_gaps() -> None:
    known = {0: Seen(Verdict.PASS), 6: Seen(Verdict.FAIL)}
    assert next_position((0, 3, 6), known, "bad") == 3
    finding = conclude((0, 6), known, "bad")
    assert finding.suspects == (1, 2, 3, 4, 5, 6), "every patch between them, not their positions"
    assert finding.text == "first bad position: one of 1 to 6"


def test_bisect_of_several_changes_finds_first() -> None:
    known = {n: Seen(WORDS[word]) for n, word in enumerate("PFPF")}
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


# ---------------------------------------------------------------- kernels with a fault

OK = Seen(Verdict.PASS)


def no_build(patch: int = 0, line: int = 45) -> Seen:
    what = f"does not build: lib/glob.c:{line}: error: x"
    return Seen(Verdict.FAIL, what, KernelFault(Stop.BUILD, what), patch)


def no_boot(what: str, patch: int = 0) -> Seen:
    what = f"does not boot: {what}"
    return Seen(Verdict.FAIL, what, KernelFault(Stop.BOOT, what), patch)


def searched(kinds: dict[int, Seen], last: int = 12) -> tuple[list[str], list[int]]:
    """Search positions 0 to *last*, each as the nearest entry of *kinds* at or below it says."""
    tried: list[int] = []

    def probe(position: int) -> Seen:
        tried.append(position)
        return kinds[max(start for start in kinds if start <= position)]

    finding = search(range(last + 1), probe, "bad")
    return [finding.text, *finding.others], tried


def test_kernel_that_does_not_boot_is_found_like_a_test_that_fails() -> None:
    said, tried = searched({0: OK, 11: no_boot("halted in sort_r")})
    assert said == ["first bad position: 11"]
    assert len(tried) <= 7
    known = {0: OK, 1: no_boot("halted in sort_r")}
    assert conclude((0, 1), known, "bad").why == "does not boot: halted in sort_r"


def test_blamed_patch_is_tried_first() -> None:
    said, tried = searched({0: OK, 11: no_boot("halted in sort_r", 11)})
    assert said == ["first bad position: 11"]
    assert tried == [0, 12, 10, 11]


def test_wrong_blame_costs_few_tries_and_no_answer() -> None:
    said, tried = searched({0: OK, 5: no_boot("halted in sort_r", 9)})
    assert said == ["first bad position: 5"]
    assert len(tried) <= 7


def test_broken_build_that_is_mended_is_a_fault_of_its_own() -> None:
    said, tried = searched({0: OK, 6: no_build(6), 7: OK, 11: no_boot("halted in sort_r")})
    assert said == [
        "first bad position: 11",
        "position 6 does not build: lib/glob.c:45: error: x; a later patch mends it",
    ]
    assert len(tried) <= 7


def test_broken_build_that_stays_is_the_answer() -> None:
    said, tried = searched({0: OK, 6: no_build(6)})
    assert said == ["first bad position: 6"]
    assert tried == [0, 12, 5, 6]


def test_two_ways_not_to_boot_are_both_named() -> None:
    said, _ = searched({0: OK, 6: no_boot("panic in next_arg", 6), 11: no_boot("halted", 11)})
    assert said == [
        "first bad position: 6",
        "from position 11 on it fails in another way: does not boot: halted",
    ]


def test_same_error_on_another_line_is_the_same_fault() -> None:
    said, _ = searched({0: OK, 3: no_build(line=40), 8: no_build(line=52)})
    assert said == ["first bad position: 3"]


def test_failing_test_behind_kernels_that_do_not_boot_is_found() -> None:
    kinds = {0: OK, 4: no_boot("halted"), 8: OK, 10: Seen(Verdict.FAIL, "1 of 9 cases failed")}
    said, _ = searched(kinds)
    assert said[0] == "first bad position: 10"
    assert all("a later patch mends it" in line for line in said[1:])


def test_untested_positions_are_named_with_their_reason() -> None:
    missed = Seen(Verdict.MISS, "QEMU is gone")
    said, _ = searched({0: OK, 11: missed})
    assert said == [
        "no position fails: 0 and 10 were tried",
        "position 11 could not be tested (MISS): QEMU is gone",
        "position 12 could not be tested (MISS): QEMU is gone",
    ]
    known: Known = {0: OK, 1: missed}
    assert not conclude((0, 1), known, "bad").settled
    assert conclude((0, 1), {0: OK, 1: OK}, "bad").settled


def test_fix_is_sought_around_a_broken_build() -> None:
    kinds = {0: Seen(Verdict.FAIL, "1 of 9 cases failed"), 2: no_build(2), 3: OK}
    finding = search(range(5), lambda p: kinds[max(s for s in kinds if s <= p)], "fix")
    assert finding.suspects == (2, 3)
    assert finding.others[0].startswith("position 2 does not build")


def cell(arch: str, verdict: Verdict, **more: object) -> CellResult:
    where = Cell(arch=arch, base="b", position=6, config=(), ram_mib=96, test="t", load="none")
    return CellResult(where, verdict, Verdict.PASS, "why", **more)  # type: ignore[arg-type]


def origin(position: int, file: str, line: int) -> int:
    return {(6, "lib/sort.c", 204): 5}.get((position, file, line), 0)


def test_cells_of_a_position_give_what_is_seen() -> None:
    assert seen_in([cell("a", Verdict.PASS)], origin) == Seen(Verdict.PASS)
    assert seen_in([], origin) == Seen(Verdict.MISS)
    fault = KernelFault(Stop.BUILD, "does not build: x", "x.c:1", 4)
    broken = cell("a", Verdict.FAIL, fault=fault)
    assert seen_in([broken, cell("b", Verdict.PASS)], origin) == Seen(Verdict.FAIL, "why", fault, 4)
    tested = cell("b", Verdict.FAIL)
    assert seen_in([broken, tested], origin) == Seen(Verdict.FAIL, "why"), "got further"


def test_patch_of_a_splat_is_blamed() -> None:
    places = (Place("memcpy", "lib/string.c", 9), Place("sort_r", "lib/sort.c", 204))
    frame = Frame("sort_r+0x1/0x2", "", 1, True, places)
    splat = Splat(SplatKind.OOPS, "oops", "", 1, frames=(frame,))
    assert seen_in([cell("a", Verdict.FAIL, splats=(splat,))], origin).blamed == 5
