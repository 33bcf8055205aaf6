# SPDX-License-Identifier: GPL-2.0-only
"""The function that a crash is named by."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verdict.crash_function import MAX_FRAMES, crash_function


def stack(*functions: str) -> list[str]:
    return ["Call Trace:", *(f" {function}+0x1/0x2" for function in functions)]


@pytest.mark.parametrize(
    "reporter",
    [
        "memcpy", "memset", "__memmove", "memcpy_erms", "strlen", "strscpy", "_copy_from_user",
        "refcount_warn_saturate", "__list_del_entry_valid", "__list_add_valid_or_report",
        "__alloc_pages", "__alloc_pages_nodemask", "__alloc_pages_slowpath.constprop.0",
        "__alloc_frozen_pages_noprof", "get_page_from_freelist", "alloc_pages_current",
        "__kmalloc", "kmem_cache_alloc", "kfree", "___slab_alloc", "kasan_report",
        "__kasan_slab_free", "__asan_load8", "kcsan_report", "__tsan_read8", "kmsan_report",
        "__msan_warning", "ubsan_epilogue", "__ubsan_handle_shift_out_of_bounds", "fortify_panic",
        "usercopy_abort", "dump_stack", "dump_stack_lvl", "dump_backtrace", "show_stack", "panic",
        "__warn", "warn_slowpath_fmt", "__warn_printk", "report_bug", "handle_bug",
        "exc_invalid_op", "asm_exc_page_fault", "exc_page_fault", "do_error_trap",
        "el1_sync_handler", "el1h_64_sync_handler", "bug_handler", "call_break_hook",
        "do_mem_abort", "debug_print_object", "debug_check_no_obj_freed",
        "_raw_spin_lock_irqsave", "do_raw_spin_lock", "queued_spin_lock_slowpath", "__mutex_lock",
        "mutex_lock_nested", "down_write", "schedule", "__schedule", "schedule_timeout",
        "wait_for_completion", "__might_resched", "___might_sleep", "__schedule_bug",
        "check_preemption_disabled", "lock_acquire", "lockdep_rcu_suspicious",
        "trace_hardirqs_on", "print_bad_pte", "bad_page", "sysfs_warn_dup", "note_interrupt",
    ],
)  # fmt: skip
def test_crash_function_walks_past_what_reports(reporter: str) -> None:
    frames = stack("dump_stack", reporter, "demo_put", "demo_init")
    assert crash_function(frames) == "demo_put"
    assert crash_function(frames, reporter) == "demo_put", "the head names the reporter"
    exact = [f"RIP: 0010:{reporter}+0x1/0x2", *stack("demo_put", "demo_init")]
    assert crash_function(exact) == "demo_put"


@pytest.mark.parametrize(
    "function",
    [
        "print_demo", "report_state", "memory_map", "string_size", "watchdog_open",
        "download_image", "die_roll", "scheduler_demo", "vmalloc", "__vmalloc_node_range",
        "vunmap_range", "strange", "debugfs_init", "trigger_demo", "panicking_demo",
        "lockref_get",
    ],
)  # fmt: skip
def test_crash_function_that_only_resembles_a_reporter_is_named(function: str) -> None:
    assert crash_function(stack("dump_stack", function, "demo_init")) == function


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ([], ""),
        (stack("dump_stack"), ""),
        (["RIP: 0010:refcount_warn_saturate+0x1/0x2"], "refcount_warn_saturate"),
        (["pc : demo_put+0x1/0x2", *stack("demo_init")], "demo_put"),
        (["RIP: 0033:0x402449", *stack("demo_put")], "demo_put"),
        (["Call Trace:", " ? stale+0x1/0x2", " demo_put+0x1/0x2"], "demo_put"),
        (["Call Trace:", " ? stale+0x1/0x2"], "stale"),
        (["Call Trace:", " [<ffffffff81234567>] demo_put+0x1/0x2"], "demo_put"),
        ([*stack("dump_stack"), "Allocated by task 7:", " other+0x1/0x2"], ""),
        ([" earlier+0x1/0x2", "stack backtrace:", *stack("dump_stack", "demo_put")], "demo_put"),
        (stack("demo_put.isra.0.cold"), "demo_put"),
        (stack("dump_stack", "kasan_report", "memset", "demo_put"), "demo_put"),
    ],
)
def test_crash_function_of_a_body(body: list[str], function: str) -> None:
    assert crash_function(body) == function


def test_crash_function_behind_an_interrupt() -> None:
    x86 = stack(
        "dump_stack", "rcu_sched_clock_irq", "tick_handle", "asm_sysvec_apic_timer_interrupt"
    )
    arm64 = stack("dump_backtrace", "update_process_times", "gic_handle_irq", "el1_irq")
    for frames in (x86, arm64):
        assert crash_function([*frames, " spin+0x1/0x2"], interrupted=True) == "spin"


@settings(deadline=None)
@given(st.lists(st.text(alphabet=" ?RIP0:1x+/[]pc.fmemcpy", max_size=40), max_size=30))
def test_crash_function_of_any_text_is_a_word(body: list[str]) -> None:
    assert " " not in crash_function(body)


def test_crash_function_looks_at_so_many_frames() -> None:
    frames = stack(*["schedule"] * MAX_FRAMES, "demo_put")
    assert crash_function(frames) == ""
