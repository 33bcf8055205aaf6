# SPDX-License-Identifier: GPL-2.0-only
"""Deaths in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.arch import load_arch
from harness.guest.boot_death import (
    MAX_LINES,
    behind_panic,
    frames_of,
    kept_lines,
    kind_of,
    lines_in_memory,
    needs_mib,
    panic_words,
    place_words,
    words_of,
)
from harness.guest.processor import Site
from harness.model.results import Death
from harness.model.symbols import Symbol, SystemMap
from harness.model.values import GuestSpec

SPEC = GuestSpec(load_arch("x86_64"), Path("vmlinux"), Path("initramfs"), 64)


def stack(*names: str) -> tuple[Site, ...]:
    """Return a stack, innermost first; a name with "*" is where a trap came in."""
    return tuple(
        Site(
            Symbol(name.rstrip("*"), 8, 32, 4096 * number),
            exact=number == 0 or name.endswith("*"),
            trapped=name.endswith("*"),
        )
        for number, name in enumerate(names)
    )


PANIC = "[    0.2] Kernel panic - not syncing: "


@pytest.mark.parametrize(
    ("seen", "lines", "names", "kind"),
    [
        (Death.HALTED, (), (), Death.HALTED),
        (Death.RESET, ("[    0.1] all is well",), (), Death.RESET),
        (Death.RESET, (PANIC + "Fatal exception",), (), Death.PANIC),
        (Death.SPINNING, (PANIC + "stack-protector",), ("mdelay", "panic"), Death.PANIC),
        (Death.RESET, (), ("machine_restart", "panic", "die"), Death.PANIC),  # nobody heard it
        (Death.TRIPLE_FAULT, (), ("sort",), Death.TRIPLE_FAULT),
        (Death.TRIPLE_FAULT, (), ("native_machine_emergency_restart",), Death.RESET),
        (Death.RESET, (PANIC + "Attempted to kill init! exitcode=0x0b",), (), Death.INIT),
        (Death.RESET, (PANIC + "No working init found.  Try passing",), (), Death.INIT),
        (Death.RESET, (PANIC + "Requested init /x failed (error -2).",), (), Death.INIT),
        (Death.RESET, (PANIC + "VFS: Unable to mount root fs on",), (), Death.INITRAMFS),
        (
            Death.RESET,
            ("Initramfs unpacking failed: junk", PANIC + "No working init found."),
            (),
            Death.INITRAMFS,
        ),
        (Death.RESET, (PANIC + "System is deadlocked on memory",), (), Death.RAM),
        (Death.RESET, (PANIC + "Failed to allocate 8 bytes for x",), (), Death.RAM),
        (
            Death.RESET,
            ("Out of memory: Killed process 1 (init)", PANIC + "Attempted to kill init!"),
            (),
            Death.RAM,
        ),
        (Death.RESET, ("user wrote Kernel panic - not syncing: x",), (), Death.RESET),
    ],
)
def test_kind_of(seen: Death, lines: tuple[str, ...], names: tuple[str, ...], kind: Death) -> None:
    assert kind_of(seen, lines, stack(*names)) is kind


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("sort",), "in sort"),
        (("sort_r.constprop.0", "sort", "setup_arch"), "in sort_r, called from sort"),
        (("f", "f", "g"), "in f, called from g"),
        (
            ("halt", "fixup", "sort*", "setup_arch"),
            "by an exception in sort, called from setup_arch",
        ),
        ((), ""),
    ],
)
def test_place_words(names: tuple[str, ...], words: str) -> None:
    assert place_words(stack(*names)) == words


def test_place_words_name_no_caller_behind_a_gap() -> None:
    here, caller = stack("f", "g")
    assert place_words((here, replace(caller, gap=True))) == "in f"


def words(kind: Death, *lines: str, where: str = "", too_large: bool = False) -> str:
    return words_of(kind, lines, where, SPEC, too_large=too_large)


def test_words_of_each_kind() -> None:
    assert words(Death.HALTED, where="in f, called from g") == "halted in f, called from g"
    assert words(Death.TRIPLE_FAULT, where="in f") == "triple fault in f"
    assert words(Death.RESET) == "reset"
    assert words(Death.SILENT, where="in f") == "not ready in time"
    assert words(Death.PANIC, PANIC + "Oops", where="in f") == "panic: Oops, in f"
    assert words(Death.PANIC) == "panic: (no words)"
    assert words(Death.RAM, too_large=True).endswith("do not fit into 64 MiB")
    assert words(Death.RAM, PANIC + "deadlocked") == "needs more RAM than 64 MiB: deadlocked"
    assert words(Death.INIT, PANIC + "No init") == "has no working init: No init"
    unpacking = "[    0.1] Initramfs unpacking failed: junk at the end"
    assert words(Death.INITRAMFS, unpacking, PANIC + "VFS: Unable") == (
        "cannot use its initramfs: Initramfs unpacking failed: junk at the end"
    )
    assert words(Death.IDLE, "[  1.0] x").startswith("idle before init was started")
    assert words(Death.IDLE, where="in f") == "idle in f"
    assert words(Death.IDLE, "[  1.0] Run /init as init process").startswith("idle after init")


def test_words_have_no_addresses() -> None:
    said = "stack-protector: Kernel stack is corrupted in: ffffffff81b25abc"
    assert panic_words([PANIC + said]) == said.replace("ffffffff81b25abc", "(address)")
    assert panic_words([PANIC + "exitcode=0x0000000b"]) == "exitcode=0x0000000b"
    assert panic_words([PANIC]) == "(no words)"
    assert panic_words(["nothing"]) == ""


def test_frames_of_a_panic_are_those_that_led_to_it() -> None:
    whole = stack("acpi_reset", "machine_restart", "panic", "die", "sort*", "setup_arch")
    frames = frames_of(behind_panic(whole))
    assert [frame.symbol for frame in frames] == [
        "die+0x8/0x20",
        "sort+0x8/0x20",
        "setup_arch+0x8/0x20",
    ]
    assert [frame.exact for frame in frames] == [False, True, False]
    assert behind_panic(whole[3:]) == whole[3:]


def test_lines_are_kept_once_and_not_too_many() -> None:
    assert kept_lines(["a", "a", "b", "a"]) == ("a", "b", "a")
    assert kept_lines([]) == ()
    many = kept_lines(f"{n} {'x' * 1000}" for n in range(10_000))
    assert len(many) == MAX_LINES + 1
    assert many[0].startswith("0 ")
    assert many[-1].startswith("9999 ")
    assert max(map(len, many)) <= 400


def test_lines_in_memory_are_the_text_between_what_is_none() -> None:
    raw = b"\x01\0\0\0\0\0\0\0Linux version 5.10\0\0\x02\0\0\0\0\0\0\0one\ntwo lines\0\0ab\0"
    assert lines_in_memory(raw) == ("Linux version 5.10", "one", "two lines")


@given(st.binary(max_size=2000))
def test_any_memory_has_its_lines(raw: bytes) -> None:
    assert all(line.isprintable() or "\t" in line for line in lines_in_memory(raw))


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_log_has_a_kind_and_words(lines: list[str]) -> None:
    kind = kind_of(Death.RESET, lines, ())
    assert "\n" not in words_of(kind, lines, "", SPEC, too_large=False)


def test_needs_mib_is_what_kernel_and_initramfs_take(tmp_path: Path) -> None:
    symbols = SystemMap("ffffffff81000000 T _text\nffffffff81c00001 B _end\n", SPEC.arch.text_at)
    initramfs = tmp_path / "initramfs"
    initramfs.write_bytes(bytes(2**20))
    spec = replace(SPEC, initramfs=initramfs)
    assert needs_mib(spec, symbols) == 16 + 12 + 1 + 1
    assert needs_mib(SPEC, symbols) == 16 + 12 + 1
    assert needs_mib(spec, None) == needs_mib(spec, SystemMap("")) == 0
