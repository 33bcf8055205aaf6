# SPDX-License-Identifier: GPL-2.0-only
"""The function that people name a crash by: neither what reports it, nor what everybody calls.

A stack begins in dump_stack() or in the handler of a trap, then comes a check that all code shares
(refcount_warn_saturate(), memcpy(), __alloc_pages()), and then the code that did wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.model.symbols import plain_name

MAX_FRAMES = 200  # looked at in one splat
# Where the processor was: x86, arm64.
_COUNTER = re.compile(r"(?:RIP: 0010:(?:\[<[0-9a-f]+>\] )?|pc : |PC is at )([\w.$]{1,200})\+0x")
_FRAME = re.compile(
    r"\s+(?:\[<[^<>]{1,24}>\] )?(?P<guess>\? )?(?P<function>[\w.$]{1,200})\+0x[0-9a-f]+/0x[0-9a-f]"
)
_STACK = re.compile(r"(?:Call [Tt]race|stack backtrace|\s*backtrace(?: \(.{0,40}\))?):")
# What follows belongs to an earlier time: KASAN's and SLUB's stacks of who had the memory.
_PAST = re.compile(r"(?:Allocated|Freed|Last potentially related work|Last \w+ work)\b.{0,80}:$")
# Functions by which a task waits; the first other one is where it waits.
WAITS = (
    r"schedule(?:_\w+)?|__switch_to\w*|context_switch|_*cond_resched|preempt_schedule\w*"
    r"|io_schedule(?:_\w+)?|_*(?:rt_|ww_)?mutex_lock\w*|(?:do_)?wait_for_com\w*|_*wait_for_common\w*"
    r"|rwsem_\w+|_*down(?:_\w+)?|_*rt_mutex_\w+|percpu_(?:down|rwsem)\w+|usleep\w*|msleep\w*"
    r"|_raw_(?:spin|read|write)\w*|queued_\w+_slowpath|native_queued_\w+|do_raw_\w+|might_resched"
    r"|rcu_all_qs|__schedule(?:_\w+)?|_*out_of_line_wait_on_bit\w*|_*wait_on_bit\w*|bit_wait\w*"
)
# Functions by which an interrupt comes in, to the entry from assembly.
INTERRUPTS = (
    r"a?sm_\w+|el1h?_\w+|gic_\w+|handle_domain_irq|\w*do_IRQ|irq_exit\w*|__do_softirq|do_softirq"
    r"|common_interrupt|\w*sysvec_\w+|(?:raw_)?irqentry_\w+|arm64_(?:enter|exit|preempt)_\w+"
)
_TRAP_ENTRY = re.compile(
    r"(?:asm_(?:sysvec|common_interrupt|exc_nmi)\w*|apic_timer_interrupt|ret_from_intr"
    r"|el1h?_(?:64_)?(?:irq|fiq)\w*|end_repeat_nmi)$"
)
# What dumps, reports and panics, and the handlers of traps.
_REPORTS = (
    r"rust_(?:helper_\w+|panic\w*|begin_unwind)|_*dump_stack\w*|_*show_(?:stack|regs|trace)\w*|dump_backtrace\w*|dump_(?:page|header)|panic"
    r"|nmi_panic|vpanic|_*warn(?:_\w+)?|_*report_bug|handle_bug|fixup_bug|exc_\w+|do_error_trap"
    r"|do_trap\w*|(?:do_)?invalid_op|do_int3\w*|_*die(?:_body|_addr)?|die_kernel_fault|oops_(?:begin|end)|no_context|_*bad_area\w*"
    r"|(?:do_|handle_)?page_fault\w*|page_fault_oops|do_(?:user|kern)_addr_fault|_*do_kernel_fault"
    r"|(?:call|early)_break\w*|\w*brk\w*_handler|\w*bug_handler|do_debug_\w+|do_el[01]\w*|do_mem_abort"
    r"|do_translation_fault|do_undefinstr|do_bad_area|do_serror|arm64_\w*serror\w*"
    r"|print_report|print_address_description\w*|end_report|check_memory_region\w*"
    r"|_*(?:asan|hwasan|kasan|kmsan|msan|kcsan|tsan|ubsan|kfence)_\w+|handle_overflow"
    r"|_*fortify_\w+|_*refcount_\w+|_*kref_(?:get|put|sub)\w*|usercopy_\w+|_*check_object_size"
    r"|_*check_heap_object|_*list_(?:add|del)_(?:valid|entry_valid)\w*|_*list_del_entry\w*"
    r"|_*debug_(?:object_|check_no|print_object|mutex_|smp_proc|locks_off|dma_)\w*|_*stack_chk_fail|check_preemption\w*"
    r"|_*this_cpu_preempt_check|_*might_\w+|spin_(?:bug|dump)|rwlock_bug|should_fail\w*|fail_dump"
    r"|bad_page|print_\w*(?:bug|stall|pte|trailer|locks?|violation|imbalance_bug)|note_interrupt"
    r"|_*report_bad_irq|bad_irq|nmi_(?:cpu|trigger)_\w+|trigger_\w*backtrace\w*"
    r"|watchdog_(?:timer|overflow|hardlockup)_\w+|rcu_dump\w*|rcu_check_gp\w*|rcu_sched_clock_irq|_*lockdep_\w+"
    r"|trace_(?:hard|soft)irqs\w*|register_lock_class|look_up_lock_class|_*lock_(?:acquire|release)"
    r"|check_flags\w*|mark_(?:lock|held_locks)\w*|validate_chain|preempt_count_\w+"
    r"|_*sysfs_\w+|kobject_\w+|device_(?:add|register|create)\w*"
    r"|_*stack_overflow\w*|handle_stack_overflow|arch_dump_stack"
)
# What everybody calls: memory, strings, locks.
_SHARED = (
    r"_*mem(?:cpy|set|move|cmp|chr|scan|zero_explicit)(?:_\w+)?|_*str(?:n|r|l|s)?"
    r"(?:cpy|cat|len|cmp|chr|str|dup|casecmp|scpy\w*|scpy_pad|spn|cspn|nlen)(?:_\w+)?"
    r"|_*(?:copy|clear)_(?:to|from|in)?_?user\w*|_*alloc_(?:frozen_)?pages?\w*|_*get_free_pages\w*"
    r"|get_page_from_freelist|get_zeroed_page\w*|_*free_(?:one_page|pages(?:_\w+)?|unref_\w+)"
    r"|free_pcp\w*|_*k[mz]alloc\w*|_*kcalloc\w*|krealloc\w*|_*kmem_cache_(?:alloc|free|zalloc)\w*"
    r"|_*slab_(?:alloc|free|err|bug|fix|pad|post|pre)\w*|_*slab_alloc\w*|allocate_slab|new_slab"
    r"|object_err|check_(?:slab|object|bytes\w*)|free_debug_processing|alloc_debug_processing"
    r"|(?:free|alloc)_(?:to|from)_partial\w*|_*cache_(?:alloc|free)\w*|kz?free\w*|kvfree\w*"
    r"|cache_from_obj|verify_redzone\w*|cache_free_debug\w*|native_(?:save_fl|halt|safe_halt)|cpu_relax|_*(?:nd)?elay|__(?:u|const_u)delay"
)
_WAITING = re.compile(rf"(?:{WAITS})$")
_INTERRUPTING = re.compile(rf"(?:{INTERRUPTS})$")
_REPORTING = re.compile(rf"(?:{_REPORTS}|{_SHARED}|{WAITS}|{INTERRUPTS})$")


def waits_or_interrupts(function: str) -> bool:
    """Return whether *function* is part of the scheduler, of locks, or of an interrupt."""
    return bool(_WAITING.match(function) or _INTERRUPTING.match(function))


def crash_function(body: Sequence[str], named: str = "", *, interrupted: bool = False) -> str:
    """Return the function to name a splat with the lines *body* by; "" if none is known.

    *named* is the one that its first line tells, if any. *interrupted*: an interrupt found the
    fault, in what it interrupted.
    """
    at = named or next((found[1] for found in map(_COUNTER.match, body) if found), "")
    at = plain_name(at)
    if at and not _REPORTING.match(at):
        return at
    stack = list(_stack(body))
    if at in stack:
        stack = stack[stack.index(at) + 1 :]
    elif interrupted:
        entries = [n for n, function in enumerate(stack) if _TRAP_ENTRY.match(function)]
        stack = stack[entries[-1] + 1 :] if entries else stack
    return next((f for f in stack if not _REPORTING.match(f)), "") or at


def _stack(body: Sequence[str]) -> Iterator[str]:
    """Yield the functions of the stack in *body*, innermost first."""
    begun = next((n for n, text in enumerate(body) if _STACK.match(text)), -1)
    sure, guessed = list[str](), list[str]()
    for text in body[begun + 1 :]:
        if _PAST.match(text) or (sure and _STACK.match(text)):
            break
        frame = _FRAME.match(text)
        if frame:
            (guessed if frame["guess"] else sure).append(plain_name(frame["function"]))
            if len(sure) + len(guessed) >= MAX_FRAMES:
                break
    yield from sure or guessed
