# SPDX-License-Identifier: GPL-2.0-only
"""Splats and the cases they belong to, and the places in code that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.results import Frame, Place, Splat
from harness.model.values import SplatKind
from harness.verdict.judge import attributed, name_running
from harness.verdict.ktap import parse
from harness.verdict.splat import find_splats
from harness.verdict.symbols import MAX_SPOTS, blamed, case_function, source_of, spots_of
from tests.unit.golden import golden_logs

PROVOKED = [log for log in golden_logs("splat") if log.stem.startswith("provoked-")]
KIND_OF = {log.stem: log.stem.removeprefix("provoked-").rpartition("-")[0] for log in PROVOKED}


@pytest.mark.parametrize("log", PROVOKED, ids=lambda log: log.stem)
def test_a_provoked_splat_belongs_to_the_case_that_provoked_it(log: Path) -> None:
    lines = log.read_text(encoding="utf-8").split("\n")
    found = find_splats(lines)
    ktap = parse(lines)
    ktap = name_running(ktap, case_function(found))
    assert found
    for splat in attributed(found, ktap):
        if splat.kind is SplatKind.LEAK:
            assert (splat.case, splat.when) == ("", "after the last case, after")
        else:
            assert splat.case == KIND_OF[log.stem].replace("-", "_")


def test_a_splat_before_the_first_case_belongs_to_none() -> None:
    lines = ["WARNING: CPU: 0 PID: 1 at mm/a.c:3 f+0x1/0x2", "", "TAP version 14", "1..1"]
    (splat,) = attributed(find_splats(lines), parse([*lines, "ok 1 - a"]))
    assert (splat.case, splat.when) == ("", "before the first case")


def test_where_the_processor_stood_is_exact_and_a_return_address_is_not() -> None:
    text = (
        "RIP: 0010:f+0x10/0x20 [mod]\nCall Trace:\n ? g+0x1/0x2\n h+0x30/0x40\n f+0x10/0x20 [mod]"
    )
    assert [(s.function, s.module, s.line, s.address) for s in spots_of(text)] == [
        ("f", "mod", 1, 0x10),
        ("h", "", 4, 0x2F),
        ("f", "mod", 5, 0x10),
    ]


def test_what_an_interrupt_interrupted_on_arm64_is_exact() -> None:
    spots = spots_of("Call trace:\n gic_handle_irq+0x74/0xa0\n el1_irq+0xc8/0x180\n spin+0x4/0x8")
    assert [spot.exact for spot in spots] == [False, False, True]


def test_hostile_frames_are_bounded() -> None:
    assert len(spots_of("\n".join(" f+0x1/0x2" for _ in range(10_000)))) == MAX_SPOTS
    assert spots_of(" f+0xffffffff/0x2\n f+0xfffffffff/0xfffffffff\n f+0x3/0x2") == ()


@settings(deadline=None)
@given(st.text(alphabet=" RIP0:x+/[]pcf\n.?(<>", max_size=300))
def test_any_text_names_places_within_it(text: str) -> None:
    for spot in spots_of(text):
        assert 1 <= spot.line <= text.count("\n") + 1
        assert 0 <= spot.address <= spot.size


def test_the_blamed_frame_is_a_modules_and_its_source_no_header() -> None:
    header, own = Place("alloc", "include/linux/gfp.h", 5), Place("case", "t/t.c", 7)
    kernel = Frame("dump_stack+0x1/0x2", "", 1, False, (Place("dump_stack", "lib/d.c", 9),))
    module = Frame("case+0x1/0x2", "t", 2, False, (header, own))
    splat = Splat(SplatKind.OOM_KILL, "", "a\nb", 1, frames=(kernel, module))
    assert blamed(splat) is module
    assert source_of(module) == own
