# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from harness.build.make_log import (
    MakeLog,
    all_warnings,
    error_place,
    first_error,
    host_failure,
    merge_warnings,
)

FAILED = """\
make -C /src/tree
  CC      mm/slab.o
  CC      mm/vmalloc.o
In file included from /src/tree/include/linux/mm.h:7,
                 from /src/tree/mm/vmalloc.c:12:
/src/tree/mm/vmalloc.c: In function '__vmalloc':
/src/tree/mm/vmalloc.c:30:9: warning: unused variable 'x' [-Wunused-variable]
   30 |     int x;
      |         ^
/src/tree/mm/vmalloc.c: In function 'vmap':
/src/tree/mm/vmalloc.c:42:9: error: 'gpf' undeclared (first use in this function)
   42 |     gpf = 1;
      |     ^~~
      |     gfp
/src/tree/mm/vmalloc.c:50:1: error: another
make[2]: *** [scripts/Makefile.build:286: mm/vmalloc.o] Error 1
  AR      lib/built-in.a
make: *** [Makefile:1846: mm] Error 2
""".splitlines()


def read(lines: list[str], *roots: str) -> MakeLog:
    log = MakeLog(*roots)
    for line in lines:
        log.feed(line)
    return log


def test_line_of_an_object_is_counted() -> None:
    log = read(
        ["  CC      a.o", "  CC [M]  b.o", "  HOSTLD  scripts/x", "  Building modules, stage 2.",
         "make[1]: Entering directory", "  CALL    scripts/y.sh"]
    )  # fmt: skip
    assert log.done == 4
    assert log.current == "scripts/y.sh"


def test_first_error_comes_with_the_lines_that_explain_it() -> None:
    line, block = read(FAILED, "/src/tree").error()
    assert line == "mm/vmalloc.c:42:9: error: 'gpf' undeclared (first use in this function)"
    assert block.splitlines() == [
        "mm/vmalloc.c: In function 'vmap':",
        line,
        "   42 |     gpf = 1;",
        "      |     ^~~",
        "      |     gfp",
    ]


def test_first_error_of_the_linker() -> None:
    line, block = first_error(
        ["  LD      vmlinux", "ld: mm/vmalloc.o: in function `vmap':",
         "vmalloc.c:(.text+0x1): undefined reference to `nothing'", "make: *** [x] Error 1"]
    )  # fmt: skip
    assert "undefined reference to `nothing'" in line
    assert "make" not in block


def test_first_error_of_modpost() -> None:
    line, _ = first_error(["  MODPOST x", 'ERROR: modpost: "f" [x.ko] undefined!', "make: *** y"])
    assert line == 'ERROR: modpost: "f" [x.ko] undefined!'


def test_first_error_without_a_compiler_is_the_lines_before_make_gave_up() -> None:
    line, block = first_error(
        ["  GEN     x", "/bin/sh: 1: pahole: not found", "make: *** [Makefile:1: x] Error 127"]
    )
    assert line == "/bin/sh: 1: pahole: not found"
    assert "Error 127" in block


def test_first_error_of_a_makefile_is_its_own_line() -> None:
    refusal = "../tree/Makefile:151: *** source directory cannot contain spaces.  Stop."
    line, _ = first_error(["something else", refusal])
    assert line == refusal


def test_first_error_of_nothing_is_empty() -> None:
    assert first_error([]) == ("", "")
    assert first_error(["  CC      a.o"]) == ("", "")


def test_warnings_belong_to_the_object_they_were_printed_for() -> None:
    log = read(FAILED, "/src/tree")
    assert log.warnings["mm/vmalloc.o"] == [
        "mm/vmalloc.c:30:9: warning: unused variable 'x' [-Wunused-variable]"
    ]
    assert log.warnings["mm/slab.o"] == []


def test_merge_warnings_of_an_object_made_again_replaces_them() -> None:
    before = {"a.o": ["a: warning: x"], "b.o": ["b: warning: y"]}
    merged = merge_warnings(before, {"a.o": [], "c.o": ["b: warning: y"]})
    assert merged == {"b.o": ["b: warning: y"], "c.o": ["b: warning: y"]}
    assert all_warnings(merged) == ("b: warning: y",)


def test_warnings_of_modpost_count() -> None:
    log = read(["  MODPOST vmlinux.o", "WARNING: modpost: section mismatch"])
    assert all_warnings(log.warnings) == ("WARNING: modpost: section mismatch",)


@pytest.mark.parametrize(
    ("error", "place", "stable"),
    [
        ("lib/a.c:45:6: error: 'x'", "lib/a.c:45", "lib/a.c:45: error: 'x'"),
        ("lib/a.c:45: Error: bad", "lib/a.c:45", "lib/a.c:45: Error: bad"),
        ("arch/x/Kconfig:7: syntax error", "arch/x/Kconfig:7", "arch/x/Kconfig:7: syntax error"),
        ("ld: lib/x.o: undefined reference to `f'", "", "ld: lib/x.o: undefined reference to `f'"),
        ('ERROR: modpost: "f" undefined!', "", 'ERROR: modpost: "f" undefined!'),
        ("", "", ""),
    ],
)
def test_place_of_an_error_is_without_its_column(error: str, place: str, stable: str) -> None:
    assert error_place(error) == (place, stable)


@pytest.mark.parametrize(
    "line",
    [
        "gcc: fatal error: Killed signal terminated program cc1",
        "gcc: internal compiler error: Killed (program cc1)",
        "mm/vmalloc.c:3:1: internal compiler error: Segmentation fault",
        "make[2]: *** [scripts/Makefile.build:286: mm/vmalloc.o] Error 137",
        "make[2]: *** [scripts/Makefile.build:286: mm/vmalloc.o] Killed",
        "make[2]: *** [scripts/Makefile.build:286: mm/vmalloc.o] Terminated",
        "cc1: out of memory allocating 65536 bytes: Cannot allocate memory",
        "/bin/sh: 1: fork: retry: Resource temporarily unavailable",
        "fatal error: error writing to /tmp/x.s: Input/output error",
    ],
)
def test_end_by_the_host_is_told_from_an_error_of_the_source(line: str) -> None:
    assert host_failure(["  CC      mm/vmalloc.o", line, "make: *** [Makefile:1: mm] Error 2"])
    assert host_failure(FAILED) == ""


def test_first_error_of_kconfig_is_where_it_began() -> None:
    lines = [
        "$ make tinyconfig",
        "  GEN     Makefile",
        "lib/Kconfig:109:warning: ignoring unsupported character '@'",
        "lib/Kconfig:110: syntax error",
        "lib/Kconfig:111: invalid statement",
        'lib/Kconfig:115: unknown statement "functions"',
        "make[2]: *** [../tree/scripts/kconfig/Makefile:71: olddefconfig] Error 1",
    ]
    line, block = first_error(lines)
    assert line == "lib/Kconfig:110: syntax error"
    assert "lib/Kconfig:115" in block


def test_first_error_of_the_linker_names_object_and_function() -> None:
    lines = [
        "  LD      vmlinux.o",
        "x86_64-linux-gnu-ld: lib/list_sort.o: in function `list_sort':",
        "list_sort.c:(.text+0x225): undefined reference to `demo_far_away'",
        "make: *** [Makefile:1: vmlinux] Error 1",
    ]
    line, _ = first_error(lines)
    assert (
        line == "lib/list_sort.o: in function `list_sort': undefined reference to `demo_far_away'"
    )
    assert first_error(lines[2:])[0] == lines[2]
