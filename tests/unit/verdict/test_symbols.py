# SPDX-License-Identifier: GPL-2.0-only
"""Places in code that splats name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.results import Frame, Place, Splat
from harness.model.symbols import plain_name
from harness.model.values import SplatKind
from harness.verdict.symbols import MAX_SPOTS, blamed, source_of, spots_of


def test_spots_of_instruction_pointer_is_exact_and_return_address_is_not() -> None:
    text = (
        "RIP: 0010:f+0x10/0x20 [mod]\nCall Trace:\n ? g+0x1/0x2\n h+0x30/0x40\n f+0x10/0x20 [mod]"
    )
    assert [(s.function, s.module, s.line, s.address) for s in spots_of(text)] == [
        ("f", "mod", 1, 0x10),
        ("h", "", 4, 0x2F),
        ("f", "mod", 5, 0x10),
    ]


@pytest.mark.parametrize(
    ("head", "module"),
    [
        ("WARNING: CPU: 0 PID: 7 at mm/demo.c:77 f+0x10/0x20 [mod]", "mod"),
        ("WARNING: CPU: 0 PID: 7 at f+0x10/0x20", ""),
        ("WARNING: mm/demo.c:77 at f+0x10/0x20 [mod], CPU#1: a b/77", "mod"),
        ("WARNING: at f+0x10/0x20, CPU#1: demo/77", ""),
        ("WARNING: [a > b] mm/demo.c:77 at f+0x10/0x20, CPU#1: demo/77", ""),
        ("Kernel BUG at f+0x10/0x20 [mod] [verbose debug info unavailable]", "mod"),
        ("Kernel BUG at f+0x10/0x20 [verbose debug info unavailable]", ""),
    ],
)
def test_spots_of_the_head_of_a_warning_is_exact(head: str, module: str) -> None:
    (spot,) = spots_of(head)
    assert (spot.function, spot.module, spot.address) == ("f", module, 0x10)


def test_spots_of_a_warning_without_a_symbol_has_none() -> None:
    assert spots_of("WARNING: mm/demo.c:77 at 0x0, CPU#1: demo/77") == ()


def test_spots_of_arm64_frame_behind_an_interrupt_is_exact() -> None:
    spots = spots_of("Call trace:\n gic_handle_irq+0x74/0xa0\n el1_irq+0xc8/0x180\n spin+0x4/0x8")
    assert [spot.exact for spot in spots] == [False, False, True]


def test_spots_of_hostile_frames_are_bounded() -> None:
    assert len(spots_of("\n".join(" f+0x1/0x2" for _ in range(10_000)))) == MAX_SPOTS
    assert spots_of(" f+0xffffffff/0x2\n f+0xfffffffff/0xfffffffff\n f+0x3/0x2") == ()


@settings(deadline=None)
@given(st.text(alphabet=" RIP0:x+/[]pcf\n.?(<>", max_size=300))
def test_spots_of_any_text_names_places_within_it(text: str) -> None:
    for spot in spots_of(text):
        assert 1 <= spot.line <= text.count("\n") + 1
        assert 0 <= spot.address <= spot.size


def test_blamed_frame_is_of_a_module_and_its_source_no_header() -> None:
    header, own = Place("alloc", "include/linux/gfp.h", 5), Place("case", "t/t.c", 7)
    kernel = Frame("dump_stack+0x1/0x2", "", 1, False, (Place("dump_stack", "lib/d.c", 9),))
    module = Frame("case+0x1/0x2", "t", 2, False, (header, own))
    splat = Splat(SplatKind.OOM_KILL, "", "a\nb", 1, frames=(kernel, module))
    assert blamed(splat) is module
    assert source_of(module) == own


def stack(*lines: str, known: str = "") -> Splat:
    """Return a splat of *lines*, of which only frames of the functions in *known* have a place."""
    text = "\n".join(lines)
    frames = tuple(
        Frame(
            f"{spot.function}+{spot.offset:#x}/{spot.size:#x}",
            spot.module,
            spot.line,
            spot.exact,
            (Place(spot.function, "a.c", spot.line),) if spot.function in known.split() else (),
        )
        for spot in spots_of(text)
    )
    return Splat(SplatKind.OOPS, "", text, 1, frames=frames)


def test_blamed_is_never_another_frame_than_that_of_the_instruction_pointer() -> None:
    lines = ("BUG: x", "RIP: 0010:set_up+0x1/0x2", " do_one_initcall+0x1/0x2")
    assert blamed(stack(*lines, known="do_one_initcall")) is None
    found = blamed(stack(*lines, known="do_one_initcall set_up"))
    assert found is not None
    assert found.symbol == "set_up+0x1/0x2"


def test_blamed_of_a_panic_is_who_called_it() -> None:
    lines = ("Kernel panic - not syncing: x", " dump_stack+0x1/0x2", " panic+0x1/0x2")
    found = blamed(stack(*lines, " set_up+0x1/0x2", known="dump_stack panic set_up"))
    assert found is not None
    assert found.symbol == "set_up+0x1/0x2"
    assert blamed(stack(*lines, known="dump_stack panic")) is None


def test_plain_name_drops_suffixes_of_the_compiler_only() -> None:
    names = ("f.constprop.0", "f.isra.0.cold", "f.part.1", "f.llvm.123", "f.of_case", "f")
    assert list(map(plain_name, names)) == ["f", "f", "f", "f", "f.of_case", "f"]
