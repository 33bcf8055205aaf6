# SPDX-License-Identifier: GPL-2.0-only
"""Functions by address."""

from __future__ import annotations

from harness.model.symbols import SystemMap, plain_name

BASE = 0xFFFF_FFFF_8100_0000
TEXT = """\
0000000000000000 D __per_cpu_start
0000000001000000 A phys_startup_64
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t parse.constprop.0
ffffffff81000140 W __x64_sys_close
ffffffff81000140 T sys_close
ffffffff81000140 T a_very_long_way_to_close
ffffffff81000180 T last_words
ffffffff81000200 T _etext
ffffffff81400000 b __log_buf
ffffffff81404000 b after_log
ffffffff81500000 T far_away
ffffffff81500010 T end_of_init
ffffffff81600000 B _end
"""
MAP = SystemMap(TEXT, 0x100_0000)


def found(address: int) -> str:
    return str(MAP.find(address))


def test_find_names_the_function_around_an_address() -> None:
    assert found(BASE) == "startup_64+0x0/0x100"  # no mark of the linker's
    assert found(BASE + 0x13F) == "parse.constprop.0+0x3f/0x40"
    assert found(BASE + 0x140) == "a_very_long_way_to_close+0x0/0x40"  # of several, always one


def test_find_knows_no_function_where_there_is_none() -> None:
    for address in (0, BASE - 1, BASE + 0x200, BASE + 0x30_0000, BASE + 0x60_0000, 2**64 - 1):
        assert found(address) == "None", f"{address:#x}"
    assert SystemMap("").find(BASE) is None
    alone = SystemMap(f"{BASE:016x} T alone\n")
    assert alone.find(BASE + 0x10) is not None
    assert alone.find(BASE + 2**20) is None


def test_find_knows_code_that_runs_where_it_was_loaded() -> None:
    assert found(0x100_0101) == "parse.constprop.0+0x1/0x40"
    assert SystemMap(TEXT).find(0x100_0101) is None  # nobody said where that is


def test_find_caller_belongs_to_the_call_and_not_to_what_is_behind_it() -> None:
    assert str(MAP.find_caller(BASE + 0x180)) == "a_very_long_way_to_close+0x40/0x40"
    assert str(MAP.find_caller(BASE + 0x185)) == "last_words+0x5/0x80"
    assert MAP.find_caller(BASE) is None


def test_name_is_that_of_the_source() -> None:
    assert MAP.name(BASE + 0x13F) == "parse+0x3f"
    assert MAP.name(BASE + 2**30) == f"{BASE + 2**30:#x}"  # a module's
    assert SystemMap("").name(5) == "0x5"


def test_addresses_of_data_and_the_end() -> None:
    start = MAP.address("__log_buf")
    assert start == BASE + 0x40_0000
    assert MAP.after(start) == BASE + 0x40_4000
    assert MAP.physical(start) == 0x140_0000
    assert MAP.end == 0x160_0000
    assert MAP.address("nothing") is None


def test_any_text_is_a_map() -> None:
    assert SystemMap("ffffffff81000000 T\nxyz T a\n" + "f" * 10_000).find(BASE) is None


def test_plain_name_drops_suffixes_of_the_compiler_only() -> None:
    names = ("f.constprop.0", "f.isra.0.cold", "f.part.12", "f", "f.of_case")
    assert list(map(plain_name, names)) == ["f", "f", "f", "f", "f.of_case"]
