# SPDX-License-Identifier: GPL-2.0-only
"""Registers as QEMU prints them, and stacks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.arch import all_archs, load_arch
from harness.guest.processor import Processor, Site, common, outside_idle, processors_of, stack_of
from harness.model.symbols import Symbol, SystemMap
from harness.model.values import Arch

X86, ARM = load_arch("x86_64"), load_arch("arm64")
BASE = 0xFFFF_FFFF_8100_0000
STACK = 0xFFFF_FFFF_82A0_3000

X86_DUMP = """
CPU#0
RAX=0000000000000000 RBX=ffffffff818e1430 RCX=ffffffff810e5260 RDX=0000000000000008
RSI=00000000000001c7 RDI=ffffffff818e1430 RBP=ffffffff81a03e98 RSP=ffffffff81a03e58
R8 =ffffffff810e5290 R9 =ffffffff818a6ce7 R10=0000000000000063 R11=00000000ffffffff
RIP=ffffffff811e9252 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
ES =0000 0000000000000000 00000000 00000000
CR0=80050033 CR2=ffff8880000cff20 CR3=0000000001b4d000 CR4=000000a0
XMM00=00000000000000000000000000000000 XMM01=00000000000000000000000000000000

CPU#1
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00001000
EIP=0000fff0 EFL=00000202 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=1
"""
ARM_DUMP = """
CPU#0
 PC=ffffffc010463148 X00=0000000000000000 X01=ffffffc0104aad00
X29=ffffffc0104b3fb0 X30=ffffffc010460bcc  SP=ffffffc0104b3fb0
PSTATE=200000c5 --C- EL1h  SVCR=00000000 --  BTYPE=0     FPCR=00000000 FPSR=00000000
Q00=0000000000000000:0000000000000000 Q01=0000000000000000:0000000000000000
"""


def test_processors_of_x86() -> None:
    first, second = processors_of(X86_DUMP, X86)
    assert (first.counter, first.stack, first.frame, first.link) == (
        0xFFFF_FFFF_811E_9252,
        0xFFFF_FFFF_81A0_3E58,
        0xFFFF_FFFF_81A0_3E98,
        0,
    )
    assert first.masked
    assert first.privileged
    assert "XMM00" in first.text
    assert (second.counter, second.stack) == (0xFFF0, 0x1000)  # in 16 or 32 bits
    assert not second.masked
    assert not second.privileged


def test_processors_of_arm64() -> None:
    (one,) = processors_of(ARM_DUMP, ARM)
    assert (one.counter, one.stack, one.frame, one.link) == (
        0xFFFF_FFC0_1046_3148,
        0xFFFF_FFC0_104B_3FB0,
        0xFFFF_FFC0_104B_3FB0,
        0xFFFF_FFC0_1046_0BCC,
    )
    assert one.masked
    assert one.privileged
    (user,) = processors_of(ARM_DUMP.replace("EL1h", "EL0t").replace("200000c5", "20000000"), ARM)
    assert not user.masked
    assert not user.privileged


@given(st.text(alphabet="CPU#0RISEF=\n 0123456789abcdef", max_size=300))
def test_any_answer_has_its_processors(text: str) -> None:
    for arch in all_archs():
        for one in processors_of(text, arch):
            assert 0 <= one.counter < 2**64


# ---------------------------------------------------------------- stacks

FUNCTIONS = ("start", "caller", "work", "compare", "el1_sync", "el1_sync_handler", "panic", "end")
MAP = SystemMap("".join(f"{BASE + n * 0x100:016x} T {name}\n" for n, name in enumerate(FUNCTIONS)))


def at(name: str, offset: int = 0x10) -> int:
    address = MAP.address(name)
    assert address is not None
    return address + offset


def memory(words: Mapping[int, int], code: Mapping[int, bytes] | None = None):  # type: ignore[no-untyped-def]
    """Return a reader of a guest's memory that holds *words* and, before an address, *code*."""
    held = {address: word.to_bytes(8, "little") for address, word in words.items()}
    held |= {address - len(raw): raw for address, raw in (code or {}).items()}

    def read(address: int, size: int) -> bytes | None:
        page = bytearray(size)
        inside = {a: raw for a, raw in held.items() if address <= a < address + size}
        for where, raw in inside.items():
            page[where - address : where - address + len(raw)] = raw
        return bytes(page) if inside else None

    return read


def cpu(counter: int, frame: int = 0, stack: int = STACK, link: int = 0) -> Processor:
    return Processor("", counter, stack, frame, link, masked=True, privileged=True)


def named(stack: tuple[Site, ...]) -> list[str]:
    return [f"{site.symbol.name}{'!' * site.exact}{'*' * site.trapped}" for site in stack]


def call(back: int, to: str) -> dict[int, bytes]:
    """Return the code of x86_64 that calls *to*, and comes back to *back*."""
    return {back: b"\xe8" + (at(to, 0) - back).to_bytes(4, "little", signed=True)}


@pytest.mark.parametrize("arch", all_archs(), ids=lambda arch: arch.name)
def test_stack_follows_frames(arch: Arch) -> None:
    words = {
        STACK: STACK + 0x40,
        STACK + 8: at("caller"),
        STACK + 0x40: 0,
        STACK + 0x48: at("start"),
    }
    stack = stack_of(cpu(at("work"), STACK), MAP, arch, memory(words))
    assert named(stack) == ["work!", "caller", "start"]
    assert str(stack[1].symbol) == "caller+0x10/0x100"


def test_stack_outside_of_the_kernel_is_not_known() -> None:
    assert stack_of(cpu(0x200), MAP, ARM, memory({})) == ()


def test_stack_without_memory_is_where_the_processor_stands() -> None:
    for frame in (0, 3, STACK, 2**64 - 8):
        assert named(stack_of(cpu(at("work"), frame), MAP, X86, lambda *_: None)) == ["work!"]


def test_stack_with_a_loop_of_frames_ends() -> None:
    words = {STACK: STACK, STACK + 8: at("caller")}
    assert named(stack_of(cpu(at("work"), STACK), MAP, ARM, memory(words))) == ["work!", "caller"]


def test_function_without_a_frame_has_its_caller_by_the_call() -> None:
    back = at("work", 0x20)
    frames = {STACK + 0x40: 0, STACK + 0x48: at("caller")}
    code = call(back, "compare")
    words = {**frames, STACK: back}
    leaf = cpu(at("compare"), STACK + 0x40)
    assert named(stack_of(leaf, MAP, X86, memory(words, code))) == ["compare!", "work", "caller"]
    # What is on top of the stack may be anything, unless the function was just entered.
    assert named(stack_of(leaf, MAP, X86, memory(words))) == ["compare!", "caller"]
    entered = replace(leaf, counter=at("compare", 0))
    assert named(stack_of(entered, MAP, X86, memory(words))) == ["compare!", "work", "caller"]
    linked = replace(leaf, link=back)
    raw = {back: (0x94000000 | ((at("compare", 0) - back + 4) // 4)).to_bytes(4, "little")}
    assert named(stack_of(linked, MAP, ARM, memory(frames, raw)))[1] == "work"


def test_function_that_was_not_called_from_its_frame_leaves_a_gap() -> None:
    back = at("caller", 0x20)
    words = {STACK + 0x40: STACK + 0x60, STACK + 0x48: back, STACK + 0x68: at("start")}
    leaf = cpu(at("compare"), STACK + 0x40)
    stack = stack_of(leaf, MAP, X86, memory(words, call(back, "work")))
    assert named(stack) == ["compare!", "caller", "start"]
    assert [site.gap for site in stack] == [False, True, False]
    sound = stack_of(leaf, MAP, X86, memory(words, call(back, "compare")))
    assert not any(site.gap for site in sound)


def test_part_of_a_function_that_was_moved_away_was_called_as_the_function() -> None:
    text = "".join(f"{BASE + n * 0x100:016x} T {name}\n" for n, name in enumerate("abc"))
    symbols = SystemMap(text.replace("T c", "t a.cold") + f"{BASE + 0x300:016x} T end\n")
    back = BASE + 0x120
    words = {STACK: 0, STACK + 8: back}
    code = {back: b"\xe8" + (BASE - back).to_bytes(4, "little", signed=True)}
    stack = stack_of(cpu(BASE + 0x208, STACK), symbols, X86, memory(words, code))
    assert named(stack) == ["a.cold!", "b"]
    assert not stack[1].gap


def test_stack_without_frame_pointers_is_read_by_its_calls() -> None:
    first, second = at("work", 0x20), at("caller", 0x30)
    words = {
        STACK + 8: at("panic"),  # a left-over
        STACK + 0x18: first,
        STACK + 0x20: at("start"),  # another
        STACK + 0x28: second,
    }
    code = {**call(first, "compare"), **call(second, "work")}
    stack = stack_of(cpu(at("compare")), MAP, X86, memory(words, code))
    assert named(stack) == ["compare!", "work", "caller"]


def test_trap_that_the_processor_pushed_is_found() -> None:
    back = at("caller", 0x20)
    words = {
        STACK: STACK + 0x80,
        STACK + 8: at("end", -8),
        STACK + 0x40: at("work", 0),  # instruction pointer, segment, flags, stack pointer
        STACK + 0x48: 0x10,
        STACK + 0x50: 0x10046,
        STACK + 0x58: STACK + 0x70,
        STACK + 0x70: back,
        STACK + 0x80: 0,
        STACK + 0x88: at("start"),
    }
    stack = stack_of(cpu(at("panic"), STACK), MAP, X86, memory(words, call(back, "work")))
    assert named(stack) == ["panic!", "panic", "work!*", "caller", "start"]


def test_trap_that_the_kernel_linked_is_found() -> None:
    registers = STACK + 0x40
    words = {
        STACK: registers + 1,
        STACK + 8: at("panic"),
        registers + 4 * 8: STACK + 0x200,
        registers + 16 * 8: at("work", 0),
        STACK + 0x200: 0,
        STACK + 0x208: at("caller"),
    }
    stack = stack_of(cpu(at("panic"), STACK), MAP, X86, memory(words))
    assert named(stack) == ["panic!", "panic", "work!*", "caller"]


def test_trap_behind_its_entry_is_found() -> None:
    names = ("panic", "el1_sync_handler", "el1_sync", "work", "caller")
    words: dict[int, int] = {}
    for number, name in enumerate(names[1:]):
        here = STACK + 0x20 * number
        words |= {here: here + 0x20, here + 8: at(name, 0 if name == "work" else 0x10)}
    stack = stack_of(cpu(at("panic"), STACK), MAP, ARM, memory(words))
    assert named(stack) == ["panic!", "el1_sync_handler", "el1_sync", "work!*", "caller"]


# ---------------------------------------------------------------- loops


def stack(*places: str) -> tuple[Site, ...]:
    """Return a stack of ``function+offset``, innermost first."""
    sites = []
    for place in places:
        name, _, offset = place.partition("+")
        number = int(offset or "0")
        address = at(name, number)
        sites.append(Site(Symbol(name, number, 0x100, address), exact=not sites))
    return tuple(sites)


def test_common_is_the_innermost_function_that_all_are_in() -> None:
    stacks = [
        stack("compare+4", "work+16", "caller+8", "start+1"),
        stack("work+20", "caller+8", "start+1"),
        stack("end+2", "compare+8", "work+24", "caller+8", "start+1"),
    ]
    assert [str(s.symbol) for s in common(stacks)][1:] == ["caller+0x8/0x100", "start+0x1/0x100"]
    assert common(stacks)[0].symbol.name == "work"


def test_common_heeds_a_callee_that_hides_its_caller() -> None:
    stacks = [
        stack("compare+4", "work+16", "start+1"),
        stack("compare+0", "start+1"),  # no frame yet
        stack("work+20", "start+1"),
    ]
    assert [site.symbol.name for site in common(stacks)] == ["work", "start"]


def test_common_of_two_callees_is_their_caller() -> None:
    stacks = [stack("compare+4", "start+1"), stack("work+16", "start+2")]
    assert [site.symbol.name for site in common(stacks)] == ["start"]


def test_common_is_not_lost_over_a_stack_that_is_cut_short() -> None:
    stacks = [stack("work+4", "start+1"), stack("work+8", "start+1"), stack("compare", "end")]
    assert [site.symbol.name for site in common(stacks)] == ["work", "start"]


def test_idle_loop_is_no_work() -> None:
    symbol = Symbol("do_idle", 8, 16, BASE)
    assert outside_idle((*stack("work"), Site(symbol, exact=False))) == ()
    assert outside_idle(stack("work")) == stack("work")


def test_common_of_nothing_is_nothing() -> None:
    assert common([]) == ()
    assert common([(), ()]) == ()
    assert common([stack("work"), stack("compare")]) == ()
