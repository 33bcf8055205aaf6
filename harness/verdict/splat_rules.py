# SPDX-License-Identifier: GPL-2.0-only
"""Rules of splats: how each kind starts, continues and ends, from 5.10 to 7.x.

A kernel with new wording needs one more rule here and one more golden file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.model.values import SplatKind

K = SplatKind


@dataclass(frozen=True)
class Later:
    """A word of the title that is not in a splat's first line."""

    key: str  # its name in the title
    pattern: re.Pattern[str]  # searched for in each line; group 1 is the word
    absent: str = ""  # the word where no line has it


@dataclass(frozen=True)
class Rule:
    """How one kind of splat starts; the first rule that matches a line is taken."""

    kind: SplatKind
    start: re.Pattern[str]  # matched at the beginning of a message
    title: str  # format string over the named groups of `start` and the keys of `later`
    where: bool = False  # the title ends in the function; a group `function` may name it
    later: tuple[Later, ...] = ()  # words from later lines
    until: re.Pattern[str] | None = None  # its last line; None: the common END
    one_line: bool = False
    dies: bool = False  # the "[#1]" line of a crash: also continues a crash
    follows: bool = False  # may continue a splat of its own kind


def _rule(
    kind: SplatKind,
    start: str,
    title: str,
    *,
    where: bool = False,
    later: tuple[Later, ...] = (),
    until: re.Pattern[str] | None = None,
    one_line: bool = False,
    dies: bool = False,
    follows: bool = False,
) -> Rule:
    return Rule(kind, re.compile(start), title, where, later, until, one_line, dies, follows)


_TAG = r"(?:(?:NMI )?watchdog: |rcu: |traps: |kmemleak: )?"
_AT = r"(?P<file>[\w./+-]+):\d+"
_FUNCTION = r"(?P<function>[\w.$]+)\+0x"
_COMM = r"(?P<comm>\S[^:]{0,40}?(?:/u?\d+:\S{1,8}?)?)"
_LOCKDEP_WORDS = (
    r"possible circular locking dependency|possible recursive locking|inconsistent lock state"
    r"|possible irq lock inversion dependency|suspicious RCU usage|bad unlock balance"
    r"|bad contention|held lock freed|lock held when returning to user space"
    r"|Nested lock was not taken|chain_key collision|\S+-safe -> \S+-unsafe lock order"
)
_CONTEXT_WORDS = (
    r"sleeping function called from invalid context|Invalid wait context|scheduling while atomic"
    r"|MAX_LOCK\w+ too low|MAX_STACK_TRACE_ENTRIES too low|held lock freed"
)
_OOM_END = re.compile(
    r"(?:Memory cgroup o|O)ut of memory(?: \(\w+\))?: Kill|Out of memory and no killable|"
    r"(?:Memory cgroup o|O)ut of memory: OOM victim"
)
# The dump of free memory ends with the first of these that the configuration prints last.
_MEMORY_END = re.compile(r"\d+ pages hwpoisoned")
RULES: tuple[Rule, ...] = (
    # ---- crashes
    _rule(
        K.OOPS,
        r"BUG: kernel NULL pointer dereference",
        "kernel NULL pointer dereference",
        where=True,
    ),
    _rule(K.OOPS, r"BUG: unable to handle ", "unable to handle kernel paging request", where=True),
    _rule(
        K.OOPS,
        r"Unable to handle kernel NULL pointer dereference",
        "kernel NULL pointer dereference",
        where=True,
    ),
    _rule(
        K.OOPS,
        r"Unable to handle kernel (?P<what>[a-zA-Z][\w -]*?)(?: at virtual.*| at .*)?$",
        "unable to handle kernel {what}",
        where=True,
    ),
    _rule(
        K.OOPS,
        r"BUG: (?:TASK |IRQ |NMI )?stack guard page was hit",
        "stack guard page was hit",
        where=True,
    ),
    _rule(
        K.OOPS,
        r"Internal error: (?P<what>.{1,60}?)[: -]+[0-9a-f]{1,16} \[#\d+\]",
        "internal error: {what}",
        where=True,
        dies=True,
    ),
    _rule(
        K.OOPS,
        _TAG + r"(?:Oops: )?(?P<what>[A-Za-z][\w ()-]{2,50}?)(?:, [^\[]*)?"
        r": (?:0x)?[0-9a-f]{1,16} \[#\d+\]",
        "{what}",
        where=True,
        dies=True,
    ),
    _rule(
        K.OOPS,
        r"Bad mode in (?P<what>.*) handler detected",
        "bad mode in {what} handler",
        where=True,
    ),
    _rule(K.OOPS, r"SError Interrupt on CPU", "SError interrupt", where=True),
    _rule(K.BUG, rf"kernel BUG at {_AT}!", "kernel BUG", where=True),
    _rule(K.PANIC, r"Kernel panic - not syncing: (?P<what>.*)", "kernel panic: {what}"),
    _rule(K.PANIC, r"Insufficient stack space to handle exception", "kernel stack overflow"),
    _rule(K.PANIC, _TAG + r"PANIC: (?P<what>[\w ]+)", "kernel panic: {what}", where=True),
    # ---- memory errors
    _rule(
        K.KASAN,
        r"BUG: (?P<tool>KASAN|KFENCE|KMSAN): (?P<what>[\w -]+?)"
        r"(?: in (?P<function>[\w.$]+).*)?$",
        "{tool}: {what}",
        where=True,
        until=re.compile(r"={40,}$"),
    ),
    _rule(
        K.LEAK,
        r"kmemleak: \d+ new suspected memory leaks",
        "kmemleak: suspected memory leaks",
        one_line=True,
    ),
    _rule(
        K.LEAK,
        _TAG + r"unreferenced object 0x[0-9a-f]+ \(size (?P<size>\d+)\)",
        "kmemleak: unreferenced object of {size} bytes, from {comm}",
        later=(Later("comm", re.compile(r'comm "([^"]*)"'), "nobody"),),
    ),
    _rule(K.LEAK, r"BUG: memory leak", "kmemleak: memory leak"),
    # ---- no progress
    _rule(
        K.LOCKUP,
        _TAG + r"BUG: soft lockup - CPU#\d+ stuck for \d+s! \[(?P<comm>.+):\d+\]",
        "soft lockup of {comm}",
        where=True,
    ),
    _rule(
        K.LOCKUP, _TAG + r"(?:CPU\d+: )?Watchdog detected hard LOCKUP", "hard lockup", where=True
    ),
    _rule(K.LOCKUP, r"BUG: workqueue lockup", "workqueue lockup"),
    _rule(
        K.HUNG_TASK,
        r"INFO: task (?P<comm>.+):\d+ blocked .*for more than \d+ seconds",
        "hung task {comm}",
    ),
    _rule(
        K.RCU_STALL,
        r"(?:rcu: )?INFO: (?P<what>\w+ (?:self-detected stall|detected"
        r" (?:expedited )?stalls?))",
        "RCU stall: {what}",
    ),
    _rule(
        K.RCU_STALL,
        r"rcu: (?P<what>\w+ kthread (?:starved|timer wakeup))",
        "RCU stall: {what}",
        follows=True,
    ),
    # ---- rules of locking and context
    _rule(
        K.LOCKDEP,
        rf"WARNING: (?P<what>{_LOCKDEP_WORDS})",
        "lockdep: {what}",
        later=(
            Later("function", re.compile(r", at: (?:\[<[0-9a-f]+>\] )?([\w.$]+)\+0x")),
            Later("file", re.compile(r"([\w./+-]+):\d+ suspicious ")),
        ),
        where=True,
    ),
    _rule(K.LOCKDEP, r"WARNING: .{1,40} still has locks held!", "lockdep: task still has locks"),
    _rule(K.LOCKDEP, rf"(?:\[ )?BUG: (?P<what>{_CONTEXT_WORDS})(?: at {_AT})?", "{what}"),
    _rule(
        K.LOCKDEP,
        r"BUG: using (?P<what>\w+\(?\)?) in preemptible",
        "using {what} in preemptible code",
    ),
    _rule(K.LOCKDEP, r"INFO: trying to register non-static key", "lockdep: non-static key"),
    # ---- warnings and what is left
    _rule(
        K.WARNING,
        rf"WARNING: (?:CPU: \d+ PID: \d+ at |\[.*?\] )?{_AT} (?:at )?{_FUNCTION}",
        "WARNING",
        where=True,
    ),
    _rule(K.WARNING, rf"WARNING: CPU: \d+ PID: \d+ at (?:{_FUNCTION})?", "WARNING", where=True),
    _rule(K.WARNING, rf"UBSAN: (?P<what>[\w -]+?) in {_AT}", "UBSAN: {what}"),
    _rule(K.BUG, r"BUG (?P<cache>\S+) \([^)]*\): (?P<what>.+)", "slab {cache}: {what}"),
    _rule(K.BUG, r"BUG: Bad (?P<what>rss-counter state).*", "bad {what}", one_line=True),
    _rule(K.BUG, r"BUG: (?P<what>.+)", "BUG: {what}", where=True),
    # ---- tolerated where a test or a load says so
    _rule(
        K.OOM_KILL,
        rf"{_COMM} invoked oom-killer: ",
        "OOM kill of {victim}, asked by {comm}",
        later=(Later("victim", re.compile(r"Kill(?:ed)? process \d+ \(([^)]*)\)"), "nobody"),),
        until=_OOM_END,
    ),
    _rule(
        K.OOM_KILL,
        r"(?:Memory cgroup o|O)ut of memory(?: \(\w+\))?: "
        r"Kill(?:ed)? process \d+ \((?P<victim>[^)]*)\)",
        "OOM kill of {victim}",
        one_line=True,
        follows=True,
    ),
    _rule(
        K.ALLOC_FAILURE,
        rf"{_COMM}: page allocation failure: order:(?P<order>\d+), "
        r"mode:0x[0-9a-f]+\((?P<gfp>[^)]*)\)",
        "page allocation failure: order:{order}, {gfp}, {comm}",
        until=_MEMORY_END,
    ),
    _rule(
        K.ALLOC_FAILURE,
        rf"{_COMM}: vmalloc error: size \d+, (?:page order \d+, )?"
        r"(?P<what>[a-z][\w ]*?)(?: size \d+)?(?:\. Retrying\.)?(?:, mode:.*)?$",
        "vmalloc error: {what}, {comm}",
        until=_MEMORY_END,
    ),
    _rule(
        K.ALLOC_FAILURE,
        rf"{_COMM}: vmalloc: allocation failure\b",
        "vmalloc: allocation failure, {comm}",
        until=_MEMORY_END,
    ),
    _rule(
        K.ALLOC_FAILURE,
        r"(?:vmap allocation|vmalloc_node_range) for size \d+ failed",
        "no room in vmalloc's address space",
        one_line=True,
    ),
    _rule(
        K.ALLOC_FAILURE,
        r"(?P<what>SLU?[AB]B?): Unable to allocate memory on node -?\d+"
        r"(?: on CPU \d+)?, gfp=0x[0-9a-f]+\((?P<gfp>[^)]*)\)",
        "{what}: no memory, {gfp}",
    ),
    _rule(K.ALLOC_FAILURE, r"percpu: allocation failed", "percpu: allocation failed"),
)
# A line without any of these starts nothing: spares most lines the rules.
SUSPECT = re.compile(
    r"BUG|WARNING|UBSAN|INFO: |[Pp]anic|PANIC|\[#\d|nable to handle|Bad mode|SError|stack space"
    r"|Watchdog|kmemleak|unreferenced|rcu: |oom-killer|ut of memory|alloc|Unable to alloc"
)
# "Kernel panic - not syncing: ..." that only carries out what another splat led to.
AFTERMATH: tuple[tuple[re.Pattern[str], frozenset[SplatKind]], ...] = (
    (
        re.compile(r"Fatal exception|Attempted to kill|Oopsed too often|Aiee"),
        frozenset({K.OOPS, K.BUG, K.KASAN}),
    ),
    (
        re.compile(r"panic_on_warn|warned too often|panic_on_taint"),
        frozenset({K.WARNING, K.KASAN, K.LOCKDEP, K.BUG}),
    ),
    (re.compile(r"softlockup|Hard LOCKUP|hard lockup", re.I), frozenset({K.LOCKUP})),
    (re.compile(r"hung_task"), frozenset({K.HUNG_TASK})),
    (re.compile(r"RCU Stall", re.I), frozenset({K.RCU_STALL})),
    (re.compile(r"stack overflow"), frozenset({K.PANIC})),
    (re.compile(r"SError"), frozenset({K.OOPS})),
)
CUT_HERE = re.compile(r"-+\[ cut here \]-+")
# The last line of a splat, for kinds that do not say otherwise.
END = re.compile(r"---\[ end |Rebooting in \d")
# Lines that are never inside a splat: KTAP, a shell's prompt, another tool's stack dump.
BOUNDARY = re.compile(
    r"\s*(?:#(?!\d+: |PF: )|(?:not )?ok \d|K?TAP version|1\.\.\d)|[~/]\S* [#$](?: |$)|[#$] "
    r"|-+\[ cut here \]-+|FAULT_INJECTION: "
)
# The function in which it happened: x86, arm64.
FUNCTION = re.compile(r"(?:RIP: 0010:(?:\[<[0-9a-f]+>\] )?|pc : |PC is at )([\w.$]+)\+0x")
# How many lines of others may stand inside a splat; lockdep writes prose.
PATIENCE: dict[SplatKind | None, int] = {None: 4, K.LOCKDEP: 30, K.KASAN: 30, K.OOM_KILL: 60}
# Lines from the inside of a splat.
BODY = re.compile(
    r"\s+\S"  # stack frames, held locks, dumps that go on
    # registers and where the processor was
    r"|(?:[RE][A-Z0-9]{2}|[C-G]S|[CD]R\d|PKRU|x\d+|pc|lr|sp|pstate|pmr_save|Code)\s*: ?"
    r"|Call [Tt]race|backtrace|stack backtrace|Mem abort info|Data abort info|#PF: |PGD |Oops"
    r"|Internal error|\[[0-9a-f]{8,16}\] |(?:user|swapper) pgtable|KASAN: "
    # whose it is
    r"|CPU: \d|CPU \d|Modules linked in|Hardware name|Workqueue: |Tainted: |note: |task:"
    r"|irq event stamp|(?:hard|soft)irqs (?:last|enabled)|(?:in_atomic|preempt_count)\(?"
    r"|Preemption disabled at|\d+ locks? held by|Showing all locks|Last user|Last potentially"
    r"|INFO: lockdep is turned off|\"echo 0 > |Sending NMI|NMI backtrace|Task dump|rcu:"
    # ends of the kernel
    r"|Kernel panic|Kernel Offset|SMP: |PHYS_OFFSET|CPU features|Memory Limit|---\[|-{20,}|={20,}"
    r"|Kernel version|Task stack|IRQ stack|Overflow stack|ESR: |FAR: |Starting crashdump"
    # memory
    r"|(?:Read|Write) (?:of|at) |Allocated by|Freed by|The buggy|Memory state|The buggy|>?f{4}"
    r"|page:|page dumped|flags: |raw: |INFO: (?:Slab|Object|Allocated|Freed|0x)|FIX |Object|Redzone"
    r"|Mem-Info|active_anon|Node \d|lowmem_reserve|\d+ (?:total )?pages? ?|Swap cache|Free swap"
    r"|Total swap|Unreclaimable slab|Name +Used|[\w:-]+ +\d+KB +\d+KB|(?:DMA|Normal|HighMem)\d*: "
    r"|Tasks state|\[ *(?:pid|\d+) *\]|oom-kill:|oom_reaper|(?:[Mm]emory|swap|kmem)\S*:? usage"
    r"|Memory cgroup|(?:anon|file|slab|kernel|sock|shmem|pg\w+|work\w+|inactive|active)\w* \d+"
)
