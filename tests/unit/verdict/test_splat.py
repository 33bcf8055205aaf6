# SPDX-License-Identifier: GPL-2.0-only
"""Finding splats: golden logs, and anything at all.

A new golden case is a ``NAME.log`` in ``golden/splat``; ``UPDATE_GOLDEN=1 pytest`` writes the
``NAME.json`` beside it, which is then read by a person before it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.results import Splat
from harness.model.values import SplatKind
from harness.verdict import splat
from harness.verdict.klog import log_lines
from harness.verdict.splat import find_splats, is_death
from tests.unit.golden import FOLDER, golden_logs, matches_golden


def splats_of(lines: Iterable[str]) -> tuple[Splat, ...]:
    return find_splats(tuple(log_lines(lines)))


@pytest.mark.parametrize("log", golden_logs("splat"), ids=lambda log: log.stem)
def test_find_splats_golden_logs(log: Path) -> None:
    found = splats_of(log.read_text(encoding="utf-8").split("\n"))
    seen = [
        {
            "kind": one.kind.value,
            "title": one.title,
            "line": one.line,
            "first": one.text.split("\n")[0],
            "last": one.text.split("\n")[-1],
            "lines": one.text.count("\n") + 1,
            "death": is_death(one),
        }
        for one in found
    ]
    matches_golden(seen, log.with_suffix(".json"))


def test_every_kind_has_a_golden_log() -> None:
    logs = [log.read_text(encoding="utf-8").split("\n") for log in golden_logs("splat")]
    assert {one.kind for log in logs for one in splats_of(log)} == set(SplatKind)


def test_find_splats_title_is_the_same_on_every_boot() -> None:
    """The same crash at other addresses, in another process, at another time, on another CPU."""
    log = (FOLDER / "splat/oops-x86-5.10.log").read_text()
    other = (
        log.replace("0000000000000010", "00000000ffff0010")
        .replace("PID: 57", "PID: 4242")
        .replace("+0x1b/0x40", "+0x2c/0x51")
        .replace("[    3.", "[ 1234.")
        .replace("CPU: 0", "CPU: 3")
    )
    assert [one.title for one in splats_of(log.split("\n"))] == [
        one.title for one in splats_of(other.split("\n"))
    ]


SEEN = [log.stem for log in golden_logs("splat") if log.match("seen-*-arm64.log")]


@pytest.mark.parametrize("name", [stem.removesuffix("-arm64") for stem in SEEN])
def test_find_splats_same_fault_has_the_same_title_on_both_architectures(name: str) -> None:
    said = [
        [(one.kind, one.title) for one in splats_of((FOLDER / file).read_text().split("\n"))]
        for file in (f"splat/{name}-x86_64.log", f"splat/{name}-arm64.log")
    ]
    assert said[0] == said[1] != []


def test_find_splats_panic_long_after_an_oops_is_separate() -> None:
    oops = (FOLDER / "splat/two-oopses.log").read_text().split("\n")[:7]
    quiet = [f"demo: step {n}" for n in range(splat.MAX_APART + 1)]
    panic = ["Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"]
    assert [one.kind for one in splats_of(oops + panic)] == [SplatKind.OOPS]
    kinds = [one.kind for one in splats_of(oops + quiet + panic)]
    assert kinds == [SplatKind.OOPS, SplatKind.PANIC]


def test_find_splats_crash_inside_a_crash_is_separate() -> None:
    log = ["general protection fault: 0000 [#1] SMP", "RIP: 0010:one+0x1/0x2"]
    log += ["general protection fault: 0000 [#2] SMP", "RIP: 0010:two+0x1/0x2"]
    assert [one.title for one in splats_of(log)] == [
        "general protection fault in one",
        "general protection fault in two",
    ]


def test_find_splats_text_and_number_are_bounded() -> None:
    frames = [f" frame_{n}+0x1/0x2" for n in range(10_000)]
    (one,) = splats_of(["BUG: kernel NULL pointer dereference, address: 0", *frames])
    assert one.text.count("\n") == splat.MAX_TEXT
    assert "lines ...]" in one.text
    many = splats_of(["vmap allocation for size 4096 failed: use more"] * 1000)
    assert len(many) == splat.MAX_SPLATS
    (long,) = splats_of(["BUG: " + "x" * 1_000_000])
    assert len(long.title) <= splat.MAX_TITLE
    assert len(long.text) <= splat.MAX_LINE


def test_find_splats_storm_of_warnings_keeps_the_panic() -> None:
    storm = ["vmap allocation for size 4096 failed: use more"] * 5000
    found = splats_of([*storm, "Kernel panic - not syncing: the end"])
    assert found[-1].title == "kernel panic: the end"


# ---------------------------------------------------------------- anything at all

PIECES = st.sampled_from(
    [
        line
        for kind in ("splat", "splat_cases")
        for log in golden_logs(kind)
        for line in log.read_text(encoding="utf-8").split("\n")
    ]
)
LINES = st.lists(st.one_of(PIECES, st.text(max_size=60)), max_size=60)


@settings(deadline=None)
@given(LINES)
def test_find_splats_of_any_text_are_bounded_and_in_order(lines: list[str]) -> None:
    found = splats_of(lines)
    assert [one.line for one in found] == sorted(one.line for one in found)
    for one in found:
        assert 1 <= one.line <= len(lines)
        assert one.title
        assert "\n" not in one.title
        assert len(one.title) <= splat.MAX_TITLE
        assert one.text
        assert len(one.text) <= (splat.MAX_TEXT + 1) * (splat.MAX_LINE + 1)


@settings(deadline=None)
@given(LINES)
def test_find_splats_quoted_log_has_none(lines: list[str]) -> None:
    assert splats_of(f"    # case: {line}".replace("\n", " ") for line in lines) == ()
