# SPDX-License-Identifier: GPL-2.0-only
"""Stacks: golden dumps of guests that were stuck, bare addresses, and anything at all.

A new golden case is a ``NAME.log`` in ``golden/stuck``: what QEMU says of the first processor, and
the kernel's dump of its tasks. ``UPDATE_GOLDEN=1 pytest`` writes the ``NAME.json`` beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.results import Stuck
from harness.verdict.task_dump import (
    MAX_FRAMES,
    Frame,
    Task,
    culprit,
    function_of,
    processor,
    tasks_of,
    top_of,
    two_words,
    unwound,
)
from tests.unit.golden import golden_logs, matches_golden

LOGS = golden_logs("stuck")


def dump(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines()


def module_of(log: Path) -> str:
    """Return the module of the test: the 5.10 ones are of seeded kernels, the others of one."""
    return "vmalloc_nofail_wait" if "-5.10-" in log.stem else "stuck"


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_tasks_of_golden_dumps(log: Path) -> None:
    lines = dump(log)
    guilty = {kind.value: culprit(tasks_of(lines), module_of(log), kind) for kind in Stuck}
    seen = {
        "processor": [f"{word:#x}" for word in processor("\n".join(lines)) or ()],
        "culprit": {kind: task and [task.name, task.where] for kind, task in guilty.items()},
        "tasks": [
            {
                "task": f"{task.name} {task.pid} {task.state}",
                "where": task.where,
                "stack": [f"{f.function} {f.module}".strip() for f in task.stack],
            }
            for task in tasks_of(lines)
        ],
    }
    matches_golden(seen, log.with_suffix(".json"))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_culprit_is_in_code_of_the_test_and_not_in_the_scheduler(log: Path) -> None:
    kind = Stuck.LIVELOCK if "livelock" in log.stem else Stuck.HANG
    found = culprit(tasks_of(dump(log)), module_of(log), kind)
    assert found is not None
    assert found.name == "kunit_try_catch"
    assert found.state == {Stuck.LIVELOCK: "R", Stuck.HANG: "D"}[kind]
    assert found.where in {
        *("vunmap_in_turn", "first_then_second", "retry_without_sleep"),
        *("__vmalloc_noprof", "__vmalloc_node_range_noprof"),  # interrupted in its loop
    }


def test_the_kernels_of_all_architectures_and_ages_have_a_golden_dump() -> None:
    assert {log.stem.partition("-")[2] for log in LOGS} == {
        f"{how}-{version}-{arch}"
        for how in ("livelock", "deadlock")
        for version in ("5.10", "7.2")
        for arch in ("x86_64", "arm64")
    }


def test_culprit_of_a_test_that_no_task_runs_is_none() -> None:
    assert culprit(tasks_of(dump(LOGS[0])), "another", Stuck.HANG) is None
    assert culprit((), "stuck", Stuck.HANG) is None


def test_culprit_is_no_task_that_waits_for_another() -> None:
    module = Frame("case", "a_test")
    waits = Task("init", 1, "D", (Frame("kunit_try_catch_run"), module))
    works = Task("harness", 9, "S", (Frame("schedule"), Frame("pipe_read"), module))
    assert culprit((waits, works), "a-test", Stuck.HANG) == works
    assert culprit((waits, works, replace(works, pid=8)), "a-test", Stuck.HANG) == replace(
        works, pid=8
    )
    assert culprit((works, replace(works, pid=10, state="D")), "a-test", Stuck.HANG) == replace(
        works, pid=10, state="D"
    )


@pytest.mark.parametrize(
    ("stack", "where"),
    [
        (("__schedule", "schedule", "__mutex_lock", "mutex_lock", "inner", "outer"), "inner"),
        (("__schedule", "preempt_schedule_irq", "irqentry_exit", "asm_sysvec_x", "loop"), "loop"),
        (("__schedule", "schedule"), "__schedule"),
        ((), ""),
    ],
)
def test_top_of_skips_scheduler_and_locks(stack: tuple[str, ...], where: str) -> None:
    assert top_of(tuple(map(Frame, stack))) == where


@given(st.lists(st.text()))
def test_tasks_of_any_text(lines: list[str]) -> None:
    for task in tasks_of(lines):
        assert len(task.stack) <= MAX_FRAMES
    processor("\n".join(lines))
    two_words("\n".join(lines))


@given(st.lists(st.sampled_from([line for log in LOGS[:2] for line in dump(log)])))
def test_tasks_of_lost_and_shuffled_lines(lines: list[str]) -> None:
    assert len(tasks_of(lines)) <= len(lines)


# ---------------------------------------------------------------- bare addresses

BASE = 0xFFFF_FFFF_8100_0000


def test_function_of_a_name_has_no_offset() -> None:
    assert (function_of("first+0x90"), function_of("0x5")) == ("first", "")


def test_unwound_follows_frames_to_the_end() -> None:
    words = {
        BASE + 0x10: (BASE + 0x30, BASE + 1),
        BASE + 0x30: (BASE + 0x50, BASE + 2),
        BASE + 0x50: (0, 0x1234),  # back to userspace
    }
    assert list(unwound(words.get, BASE, BASE + 0x10)) == [BASE, BASE + 1, BASE + 2]
    assert list(unwound(words.get, 0x40_0000, 0x7FFF_0000)) == [0x40_0000]


def test_unwound_stack_with_a_loop_ends() -> None:
    words = {BASE: (BASE, BASE + 1)}
    assert list(unwound(words.get, BASE + 9, BASE)) == [BASE + 9, BASE + 1]
    climbing = unwound(lambda at: (at + 16, BASE), BASE, BASE)
    assert len(list(climbing)) == MAX_FRAMES + 1


def test_two_words_and_processor_read_output_of_qemu() -> None:
    assert two_words("ffffc90000107a88: 0x0000000000000010 0xffffffff81000123\n") == (
        0x10,
        0xFFFF_FFFF_8100_0123,
    )
    assert two_words("Cannot access memory at address 0x0") is None
