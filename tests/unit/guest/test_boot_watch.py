# SPDX-License-Identifier: GPL-2.0-only
"""Dead or slow: the decision, from what was seen of a silent guest."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from harness.arch import load_arch
from harness.guest.boot_watch import (
    FIRST,
    SIGHTS,
    Sight,
    Tick,
    loops,
    may_wake,
    panics,
    slept,
    stays,
    strays,
)
from harness.guest.processor import Processor, Site
from harness.model.symbols import Symbol, SystemMap

BASE = 0xFFFF_FFFF_8100_0000
FUNCTIONS = 40
MAP = SystemMap(
    "".join(f"{BASE + n * 0x100:016x} T f{n}\n" for n in range(FUNCTIONS))
    + f"{BASE + FUNCTIONS * 0x100:016x} T _etext\n"
)

ASLEEP = Tick(0.25, 0.0, asleep=True)
STARVED = Tick(0.25, 0.0, asleep=False)  # it waits for a processor of the host's
RUNS = Tick(0.25, 0.2, asleep=False)


def test_slept_is_asleep_and_without_cpu_time_for_so_long() -> None:
    assert slept([RUNS] * 40 + [ASLEEP] * 12, 3.0)
    assert not slept([RUNS] * 40 + [ASLEEP] * 11, 3.0)
    assert not slept([ASLEEP] * 11, 3.0)
    assert not slept([], 3.0)


@pytest.mark.parametrize("tick", [STARVED, RUNS])
def test_what_runs_or_waits_to_run_does_not_sleep(tick: Tick) -> None:
    assert not slept([tick] * 100, 3.0)
    assert not slept([ASLEEP, tick] * 100, 3.0)


def test_sleep_may_have_a_timer_of_the_emulator_in_it() -> None:
    timer = Tick(0.25, 0.01, asleep=False)
    assert slept(([ASLEEP] * 9 + [timer]) * 10, 3.0)


def test_processor_may_wake_with_interrupts_on_or_in_a_wait_for_one() -> None:
    x86, arm = load_arch("x86_64"), load_arch("arm64")
    waits = SystemMap(
        f"{BASE:016x} T cpu_do_idle\n{BASE + 0x100:016x} T sort\n{BASE + 512:016x} T z"
    )
    idle, sort = cpu(0), cpu(1)
    for arch in (x86, arm):
        assert may_wake(replace(sort, masked=False), arch, waits)
        assert not may_wake(sort, arch, waits)
        assert not may_wake(cpu(FUNCTIONS + 1000), arch, waits)  # never started
    assert not may_wake(idle, x86, waits)
    assert may_wake(idle, arm, waits)
    assert may_wake(sort, arm, None)  # nobody knows where it stands


# ---------------------------------------------------------------- running


def cpu(function: int, *, text: str = "same", privileged: bool = True) -> Processor:
    address = BASE + function * 0x100 + 4
    return Processor(text, address, 0, 0, 0, masked=True, privileged=privileged)


def sights(*each: tuple[Processor, ...], cpu_s: float = 0.25) -> list[Sight]:
    """Return looks at processors that are *cpu_s* of CPU time apart."""
    return [Sight(number * cpu_s, processors) for number, processors in enumerate(each)]


def test_loop_without_a_counter_is_seen_in_few_states() -> None:
    states = itertools.cycle("abc")
    assert loops(sights(*((cpu(1, text=next(states)),) for _ in range(20))), FIRST)


def test_loop_that_counts_is_none_of_few_states() -> None:
    assert not loops(sights(*((cpu(1, text=str(n)),) for n in range(200))), FIRST)


def test_loop_with_interrupts_is_one() -> None:
    def text(number: int) -> str:
        return f"interrupt {number}" if number % 6 == 0 else "loop"

    assert loops(sights(*((cpu(1, text=text(n)),) for n in range(24))), FIRST)


def test_loop_of_one_processor_beside_one_that_works_is_none() -> None:
    both = sights(*((cpu(1), cpu(2, text=str(n))) for n in range(50)))
    assert not loops(both, FIRST)
    assert loops(sights(*((cpu(1), cpu(2)) for _ in range(50))), FIRST)


def test_loop_needs_cpu_time_and_looks() -> None:
    same = [(cpu(1),)] * 40
    assert not loops(sights(*same, cpu_s=0.01), FIRST)  # a busy host: 0.4 s in all
    assert not loops(sights(*same[: SIGHTS - 1], cpu_s=1.0), FIRST)
    assert loops(sights(*same[:SIGHTS], cpu_s=1.0), FIRST)
    assert not loops([], FIRST)
    assert not loops(sights(*([()] * 40)), FIRST)


def counting(*functions: int, looks: int = 60) -> list[Sight]:
    """Return looks at a processor in *functions*, one after the other, with a counter in it."""
    cycle = itertools.cycle(functions)
    return sights(*((cpu(next(cycle), text=str(n)),) for n in range(looks)))


def test_place_is_a_few_functions_for_long() -> None:
    assert stays(counting(1), MAP, FIRST, 128)
    assert stays(counting(1, 2, 3), MAP, FIRST, 128)
    assert not stays(counting(1, 2, 3, 4), MAP, FIRST, 128)
    assert not stays(counting(*range(FUNCTIONS - 1)), MAP, FIRST, 128)


def test_place_needs_more_time_where_there_is_more_ram() -> None:
    assert not stays(counting(1, looks=30), MAP, FIRST, 128)
    assert not stays(counting(1), MAP, FIRST, 16 * 1024)
    assert stays(counting(1, looks=200), MAP, FIRST, 16 * 1024)


def test_place_that_has_no_name_is_none() -> None:
    assert not stays(counting(FUNCTIONS + 1000), MAP, FIRST, 128)


def test_jump_into_nowhere_strays() -> None:
    nowhere = counting(*range(FUNCTIONS + 10, FUNCTIONS + 400))
    assert strays(nowhere, MAP, FIRST)
    assert not strays(counting(FUNCTIONS + 10, FUNCTIONS + 11, 1), MAP, FIRST)
    in_init = sights(*((cpu(FUNCTIONS + 10, text=str(n), privileged=False),) for n in range(60)))
    assert not strays(in_init, MAP, FIRST)


def test_panic_without_an_end() -> None:
    stack = tuple(
        Site(Symbol(name, 0, 4, BASE), exact=False) for name in ("mdelay", "panic", "die")
    )
    panicking = [Sight(n * 0.25, (cpu(n),), stack) for n in range(30)]
    assert panics(panicking, FIRST)
    assert not panics([*panicking, Sight(8.0, (cpu(1),), stack[:1])], FIRST)
    assert not panics(panicking[:3], FIRST)
