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
    # Format string over the named groups of `start` and the keys of `later`. A group `function`
    # names the function, `text` is prose of the kernel that may have numbers in it.
    title: str
    where: bool = False  # the title ends in the function
    later: tuple[Later, ...] = ()  # words from later lines
    until: re.Pattern[str] | None = None  # its last line; None: the common END
    one_line: bool = False
    dies: bool = False  # the "[#1]" line of a crash: also continues a crash
    follows: bool = False  # may continue a splat of its own kind
    prelude: bool = False  # says why, right before another splat, to which it belongs then
    crash: bool = False  # a head that a "[#1]" line may follow
    fatal: bool = False  # the kernel has died of it
    dumps: bool = True  # the stack, among other things
    ordinary: bool = False  # no complaint: a dump that somebody asked for
    traces: bool = True  # an ordinary one: with the stack of a task of the kernel


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
    prelude: bool = False,
    crash: bool = False,
    fatal: bool = False,
    dumps: bool = True,
) -> Rule:
    return Rule(
        kind=kind,
        start=re.compile(start),
        title=title,
        where=where,
        later=later,
        until=until,
        one_line=one_line,
        dies=dies,
        follows=follows,
        prelude=prelude,
        crash=crash or (kind is K.OOPS and not dies),
        fatal=fatal,
        dumps=dumps,
    )


def _ordinary(start: str, *, traces: bool = True) -> Rule:
    return Rule(K.UNCLASSIFIED, re.compile(start), "", ordinary=True, traces=traces)


_TAG = r"(?:(?:NMI )?watchdog: |rcu: |traps: |kmemleak: )?"
_AT = r"(?P<file>[\w./+-]+):\d+"
_FUNCTION = r"(?P<function>[\w.$]+)\+0x"
# 15 bytes that anybody may choose, each of which /dev/kmsg may write as "\\xNN". What stands
# before a line break in a name is a line of its own.
_COMM = r"(?P<comm>.{0,64}?)"
# Before the place of a warning: 6.19 may have its condition there.
_WARNED = (
    r"WARNING: (?:\[.{0,300}?\] )?(?:CPU: ?#?\d+:? )?(?:UID: ?\d+ )?(?:PID: ?\d+ )?"
    r"(?:Comm: .{0,64}? )?"
)
_SYMBOL = r"(?P<function>[A-Za-z_][\w.$]*)(?:\+0x| \[[\w-]+\](?:,|$)|,|$)"
_SOURCE = r"(?P<file>[\w./+-]+\.[A-Za-z]\w*):\d+"
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
# A name may have brackets of its own, and may be cut by a line break.
_VICTIM = r"(?P<victim>.{0,64}?)(?:\)(?:,| total-vm:| score |$)|$)"
_OOM_END = re.compile(
    r"(?:Memory cgroup o|O)ut of memory(?: \(\w+\))?: Kill|Out of memory and no killable|"
    r"(?:Memory cgroup o|O)ut of memory: OOM victim"
)
# The dump of free memory ends with the first of these that the configuration prints last.
_MEMORY_END = re.compile(r"\d+ pages hwpoisoned")
_HANDLER = Later("function", re.compile(r"\[<[^<>]{1,24}>\] ([\w.$]+)(?: \[|$)"))
# Of what sysrq can do, this alone dumps something.
ASKED = _ordinary(r"(?:sysrq: |SysRq ?: )(?:Show |Dump |CPU\d+:)")
_FILE_SYSTEM = r"(?:EXT[234]-fs|FAT-fs|F2FS-fs|BTRFS|XFS|JBD2?|GFS2|NILFS2?|UBIFS|EROFS|SQUASHFS)"
RULES: tuple[Rule, ...] = (
    # ---- tolerated where a test or a load says so; the name of a task may look like a head below
    _rule(
        K.OOM_KILL,
        rf"{_COMM}\s?\binvoked oom-killer: gfp_mask=",
        "OOM kill of {victim}, asked by {comm}",
        later=(Later("victim", re.compile(rf"Kill(?:ed)? process \d+ \({_VICTIM}"), "nobody"),),
        until=_OOM_END,
    ),
    _rule(
        K.OOM_KILL,
        r"(?:Memory cgroup o|O)ut of memory(?: \(\w+\))?: "
        rf"Kill(?:ed)? process \d+ \({_VICTIM}",
        "OOM kill of {victim}",
        one_line=True,
        follows=True,
    ),
    _rule(
        K.ALLOC_FAILURE,
        rf"{_COMM}: page allocation failure: order:(?P<order>\d+), "
        r"mode:(?:0x)?[0-9a-f]+(?:\((?P<gfp>[^)]*)\))?",
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
        # Where it was looked for has been worded in many ways.
        r"(?P<what>SL[AUO]B): Unable to allocate memory\b(?:.{0,120}?gfp=(?:0x)?[0-9a-f]+"
        r"(?:\((?P<gfp>[^)]*)\))?)?",
        "{what}: no memory, {gfp}",
        dumps=False,
    ),
    _rule(
        K.ALLOC_FAILURE,
        rf"{_COMM}: page allocation stalls for \d+ms, order:(?P<order>\d+)",
        "page allocation stalls: order:{order}, {comm}",
        until=_MEMORY_END,
    ),
    _rule(K.ALLOC_FAILURE, r"percpu: allocation failed", "percpu: allocation failed"),
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
    _rule(
        K.OOPS,
        r"Unhandled (?P<what>[\w -]{0,60}?\b(?:exception|fault|abort))\b(?: on CPU| at |: |$)",
        "unhandled {what}",
        where=True,
    ),
    _rule(
        K.OOPS,
        r"\S.{0,64}: Corrupted page table at address",
        "corrupted page table",
        where=True,
    ),
    _rule(
        K.BUG,
        rf"[Kk]ernel BUG at (?:{_AT}!|{_FUNCTION}|0x|\(|[0-9a-f]{{8,16}}\b)",
        "kernel BUG",
        where=True,
        crash=True,
        fatal=True,
    ),
    _rule(
        K.BUG,
        rf"BUG: failure at {_AT}(?:/(?P<function>[\w.$]+)\(\))?!",
        "kernel BUG",
        where=True,
        crash=True,
        fatal=True,
    ),
    _rule(K.PANIC, r"Kernel panic - not syncing: (?P<what>.*)", "kernel panic: {what}"),
    _rule(K.PANIC, r"Insufficient stack space to handle exception", "kernel stack overflow"),
    _rule(
        K.PANIC,
        _TAG + r"PANIC: (?P<what>[A-Za-z ]*[A-Za-z])",
        "kernel panic: {what}",
        where=True,
        crash=True,
    ),
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
        # Newer kernels say what sort of memory it is of: percpu, physical.
        _TAG + r"unreferenced (?:(?P<sort>\w+) )?object (?:[(\[<](?P<sort2>[\w -]{1,30})[)\]>] )?"
        r"(?:0x)?[0-9a-f(_]\S* \(size (?P<size>\d+)\)",
        "kmemleak: unreferenced {sort} {sort2} object of {size} bytes, from {comm}",
        later=(Later("comm", re.compile(r'comm "(.{0,64}?)(?:", pid|"?$)'), "nobody"),),
        dumps=False,
    ),
    _rule(K.LEAK, r"BUG: memory leak", "kmemleak: memory leak", dumps=False),
    # ---- no progress
    _rule(
        K.LOCKUP,
        _TAG + r"BUG: soft lockup\b",
        "soft lockup",
        where=True,
    ),
    _rule(
        K.LOCKUP,
        _TAG + r"(?:CPU ?\d+:? )?(?:Watchdog |Self-)?detected hard LOCKUP",
        "hard lockup",
        where=True,
    ),
    _rule(K.LOCKUP, _TAG + r"BUG: workqueue lockup", "workqueue lockup"),
    _rule(
        K.HUNG_TASK,
        # A line break in the name leaves the end of the line alone.
        r"(?:INFO: task )?.{0,64}?:\d+ (?:<\w+> )?"
        r"(?:blocked\b.{0,60}? for more than \d+ seconds|can't die for more than \d+ seconds)",
        "hung task",
        where=True,
    ),
    _rule(
        K.HUNG_TASK,
        r"INFO: task .{0,64}:\d+ (?:<\w+> )?(?:is )?blocked on ",
        "hung task",
        where=True,
        follows=True,
    ),
    _rule(
        K.RCU_STALL,
        r"(?:rcu: )?INFO: (?P<what>\w+ (?:self-detected stall|detected"
        r" (?:expedited )?stalls?))",
        "RCU stall: {what}",
        where=True,
    ),
    _rule(
        K.RCU_STALL,
        r"rcu: (?P<what>\w+ kthread (?:starved|timer wakeup))",
        "RCU stall: {what}",
        where=True,
        follows=True,
    ),
    # ---- rules of locking and context
    _rule(
        K.LOCKDEP,
        rf"(?:\[ )?(?:WARNING|INFO|BUG): (?P<what>{_LOCKDEP_WORDS})",
        "lockdep: {what}",
        later=(
            Later("function", re.compile(r", at: (?:\[<[0-9a-f]+>\] )?([\w.$]+)\+0x")),
            Later("file", re.compile(r"(?<![\w./+-])([\w./+-]+):\d+ suspicious ")),
        ),
        where=True,
    ),
    _rule(K.LOCKDEP, r"WARNING: .{1,40} still has locks held!", "lockdep: task still has locks"),
    _rule(
        K.LOCKDEP,
        rf"(?:\[ )?BUG: (?P<what>{_CONTEXT_WORDS})(?: at {_AT})?",
        "{what}",
        where=True,
    ),
    _rule(
        K.LOCKDEP,
        r"BUG: using (?P<what>\w+\(?\)?) in preemptible",
        "using {what} in preemptible code",
        later=(Later("function", re.compile(r"caller is ([\w.$]+)\+0x")),),
        where=True,
    ),
    _rule(
        K.LOCKDEP,
        r"(?:softirq: )?huh, entered softirq \d+ (?P<what>\w+)",
        "softirq {what} changed the preempt count",
        one_line=True,
    ),
    _rule(
        K.LOCKDEP,
        rf"(?:timer: )?{_FUNCTION}\S*(?: \[[\w-]+\])? preempt leak: ",
        "timer changed the preempt count",
        where=True,
        one_line=True,
    ),
    _rule(
        K.LOCKDEP,
        r"BUG: (?P<what>workqueue leaked [A-Za-z ,]*[A-Za-z]):",
        "{what}",
        later=(Later("function", re.compile(r"last function: ([\w.$]+)|\bworkfn=([\w.$]+)")),),
        where=True,
    ),
    _rule(K.LOCKDEP, r"INFO: trying to register non-static key", "lockdep: non-static key"),
    # ---- warnings and what is left
    # Of 6.19 and later, and of a place that has no symbol or no file.
    _rule(
        K.WARNING,
        rf"{_WARNED}(?:at )?{_SOURCE}"
        rf"(?:,? ?(?:at )?(?:0x|\(|,|[0-9a-f]{{8,16}}\b|CPU: ?#?\d|{_SYMBOL})|$)",
        "WARNING",
        where=True,
    ),
    _rule(
        K.WARNING,
        rf"{_WARNED}at (?:0x|\(|[0-9a-f]{{8,16}}\b|{_SYMBOL})",
        "WARNING",
        where=True,
    ),
    _rule(K.WARNING, r"WARNING: CPU: ?\d+ PID: ?\d+\b", "WARNING", where=True),
    # The unwinder's, printed amid whatever is being dumped.
    _rule(
        K.WARNING,
        r"WARNING: (?P<what>kernel stack (?:regs|frame pointer)) at .* has bad "
        r"(?P<bad>'\w+' )?value",
        "WARNING: {what} with bad {bad} value",
        one_line=True,
    ),
    _rule(
        K.WARNING,
        rf"WARNING: (?P<what>can't \w+ registers|stack going in the wrong direction\?|"
        rf"unrecognized unwind \w+|[\w ]{{0,60}}unwind\w*)"
        rf".{{0,60}}? {_FUNCTION}",
        "WARNING: {what}",
        where=True,
        one_line=True,
    ),
    _rule(K.WARNING, rf"UBSAN: (?P<what>[\w -]+?) in {_AT}", "UBSAN: {what}", where=True),
    _rule(
        K.WARNING,
        rf"unchecked MSR access error: (?P<what>\w+)(?:.* at rIP: \S+ \({_FUNCTION})?",
        "unchecked MSR access error: {what}",
        where=True,
    ),
    _rule(K.WARNING, r"irq \d+: nobody cared", "irq: nobody cared", where=True, later=(_HANDLER,)),
    _rule(K.WARNING, r"Uhhuh\. NMI received", "NMI for an unknown reason", one_line=True),
    _rule(K.WARNING, r"irq event \d+: bogus return value", "irq: bogus return value", where=True),
    _rule(
        K.WARNING, r"genirq: Flags mismatch irq \d+", "genirq: flags mismatch of an irq", where=True
    ),
    _rule(
        K.WARNING,
        r"sysfs: cannot create duplicate filename '(?P<what>.{1,300})'",
        "sysfs: cannot create duplicate filename '{what}'",
        where=True,
    ),
    _rule(
        K.WARNING,
        r"(?:kobject: )?kobject_add_internal failed for (?P<what>.{0,100}?) (?:with|\()",
        "kobject_add_internal failed for {what}",
        follows=True,
        where=True,
    ),
    _rule(
        K.WARNING,
        r"kobject\b.{0,100}?: (?P<what>tried to init an initialized object)",
        "kobject: {what}",
        where=True,
    ),
    _rule(K.BUG, r"BUG (?P<cache>\S+) \([^)]*\): (?P<what>.+)", "slab {cache}: {what}"),
    _rule(
        K.BUG,
        r"Slab corruption(?: \([^)]*\))?: (?:cache )?(?P<cache>\S+)",
        "slab {cache}: corruption",
        where=True,
    ),
    _rule(
        K.BUG,
        r"slab error in (?P<function>\w+)\(\): (?:cache [`'](?P<cache>[^']*)': )?(?P<what>.+)",
        "slab {cache}: {what}",
        where=True,
    ),
    _rule(
        K.BUG,
        r"slab: (?P<what>double free detected|Internal list corruption detected) in cache "
        r"[`'](?P<cache>[^']*)'",
        "slab {cache}: {what}",
        where=True,
    ),
    _rule(
        K.BUG,
        r"kmem_cache_destroy (?P<cache>.{1,60}?): (?P<what>Slab cache still has objects)",
        "slab {cache}: {what}",
        where=True,
    ),
    _rule(
        K.BUG,
        r"(?:.{0,160} )?pagealloc: (?P<what>memory corruption|single bit error)",
        "pagealloc: {what}",
        where=True,
    ),
    _rule(K.BUG, rf"{_AT}: bad (?P<what>p[gum4]d) ", "bad {what}", where=True),
    _rule(
        K.BUG,
        r"(?:_?swap_\w+|get_swap_device|__swap\w+): (?P<what>(?:Bad|Unused) swap (?:\w+ )?entry)\b",
        "{what}",
        where=True,
        one_line=True,
    ),
    _rule(
        K.BUG,
        r"unregister_netdevice: waiting for .{1,40} to become free",
        "unregister_netdevice: a device does not become free",
    ),
    _rule(K.BUG, r"VFS: Busy inodes after unmount", "VFS: busy inodes after unmount", where=True),
    _rule(K.BUG, r"BUG: Bad (?P<what>rss-counter state).*", "bad {what}", one_line=True),
    _rule(K.BUG, r"BUG: Bad (?P<what>[a-z ]+?) in process ", "BUG: Bad {what}", where=True),
    _rule(K.BUG, r"BUG: (?P<what>[\w -]+?) on CPU#?\d+", "BUG: {what}", where=True),
    _rule(
        K.BUG,
        r"BUG: KCSAN: (?P<what>[\w: -]{1,60}?) in (?P<one>[\w.$]{1,200})\b[^/]{0,200}"
        r"(?:/0x[0-9a-f]+[^/]{0,200})?"
        r"(?:/ (?P<two>[\w.$]{1,200}).*)?$",
        "BUG: KCSAN: {what} in {one} / {two}",
    ),
    _rule(K.BUG, r"(?:\[ )?BUG: (?P<text>.+)", "BUG: {text}", where=True, crash=True),
    # ---- what says why, right before a BUG or a WARNING
    _rule(
        K.BUG,
        r"(?P<text>(?:list_\w+|slab|dma_pool|mempool|page_pool)\b.{0,40} corruption\b[^.(]*"
        r"|refcount_t: [^.]*|ODEBUG: (?!Out of memory)\w[\w ]*|usercopy: Kernel memory \w+ attempt"
        r"|(?:\w+: )?detected buffer overflow\b|\w+: detected field-spanning write"
        r"|DMA-API: .{0,100}device driver [^\[]*|DMA-API: exceeded|cache_from_obj\b[^.]*"
        r"|virt_to_cache: [^.]*|CFI failure at [\w.$]+|DEBUG_\w+_WARN_ON\b|XFS: Assertion failed"
        r"|skbuff: skb_(?:over|under)_panic|NETDEV WATCHDOG|kobject: .{0,100}(?:is not initialized"
        r"|with empty name)|kernel tried to execute NX-|unable to execute userspace code"
        r"|Thread overran stack|proc_dir_entry '.{1,100}' already registered"
        r"|Device '.{1,100}' does not have a release\(\) function"
        r"|initcall [\w.$]+\S* returned with (?:preemption imbalance|disabled interrupts))",
        "{text}",
        where=True,
        prelude=True,
    ),
    _rule(
        K.BUG,
        r"page dumped because: (?!unmovable|migration|isolation|hwpoison)(?P<text>.+)",
        "bad page: {text}",
        where=True,
        prelude=True,
    ),
    # ---- dumps that somebody asked for, or that a program has earned
    ASKED,
    _ordinary(r"FAULT_INJECTION: "),
    _ordinary(r"oom_reaper: unable to reap "),
    _ordinary(
        r".{0,64}\[\d+\]: (?:unhandled |segfault|undefined instruction|bad frame)", traces=False
    ),
    _ordinary(r"(?:potentially unexpected )?fatal signal \d+", traces=False),
    _ordinary(r"Mem-Info:", traces=False),
    # ---- of file systems and disks, which have no stack to show
    _rule(
        K.UNCLASSIFIED,
        rf"(?P<text>{_FILE_SYSTEM}\b.{{0,100}}?(?:\berror\b|\bcritical\b|[Cc]orrupt|[Ss]hut(?:ting)?"
        r" ?down|Remounting filesystem|forced readonly|[Dd]ata (?:loss|will be lost)|dirty metadata"
        r"|IO errors"
        r"|allocation deadlock|CRC error|bad .{0,20}(?:checksum|bitmap)|Assertion failed).*"
        r"|Aborting journal on device.*|VFS: brelse: .*"
        r"|(?:\S+: )?(?:\w+ )?(?:I/O|critical \w+|protection) error,? (?:on )?dev.*"
        r"|(?:Buffer )?I/O error on dev.*|(?:Write|Read)-error on swap-device.*"
        r"|zram: (?:Dec|C)ompression failed.*)",
        "unknown complaint: {text}",
    ),
    # ---- of the core, likewise
    _rule(
        K.UNCLASSIFIED,
        r"(?P<text>smp: csd: Detected .*|vmstat_refresh: \S+ -.*|sysctl duplicate entry: .*"
        r"|NOHZ tick-stop error.*|debugfs: .{1,160} already present!?"
        r"|Error: Driver .{1,160} already registered.*"
        r"|kobject: .{1,160} does not have a release\(\).*"
        r"|Dead loop on virtual device.*"
        r"|(?:\w+: )?Attempt to release (?:TCP|alive) .*|Trying to vfree\(\) .*)",
        "unknown complaint: {text}",
        where=True,
    ),
    # ---- of a shape that only a complaint has
    _rule(
        K.UNCLASSIFIED,
        # What drivers call a warning, behind their name, are their own words.
        r"(?P<text>(?:WARNING: (?!workqueue cpumask)|BUG[:!]).*|[\w .:()/-]{1,60}: BUG[:!].*"
        r"|Oops\b.*|(?:\S+ )?(?:\{\d+\})?\[Hardware Error\]"
        r"|(?!.*\bScanning \d)(?:.{0,160}\W)?(?:nobody cared|Disabling IRQ #"
        r"|(?:[Mm]emory|list|stack|slab|heap|data|metadata|table|freelist|pool|redzone|tree|queue"
        r"|ring|buffer) (?:is )?corrupt(?:ion|ed)\b|[Cc]orruption detected"
        r"|[Cc]orrupted (?:low )?(?:memory|list|page|stack|heap|entry|object|slab)\b"
        r"|(?:[Pp]oison|[Rr]edzone|[Pp]adding) overwritten|[Dd]ouble free detected"
        r"|[Kk]ernel stack over(?:flow|run)\b|[Ss]oft lockup\b|hard LOCKUP\b"
        r"|[Dd]eadlock detected).*)",
        "unknown complaint: {text}",
        where=True,
    ),
)
# A dump of a stack without a head that any rule knows, and the head of one that says nothing.
HEADLESS = Rule(K.UNCLASSIFIED, re.compile(""), "unknown complaint: {text}", where=True)
CUT = Rule(K.UNCLASSIFIED, re.compile(""), "unknown complaint: {text}", where=True, prelude=True)
# Whose dump it is, by a function in its stack, where the head was lost.
REPORTERS: tuple[tuple[re.Pattern[str], SplatKind, str], ...] = (
    (re.compile(r"\s+warn_alloc\b"), K.ALLOC_FAILURE, "page allocation failure"),
    (re.compile(r"\s+(?:dump_header|oom_kill_process)\b"), K.OOM_KILL, "OOM kill"),
)
# A line without any of these starts nothing: spares most lines the rules.
SUSPECT = re.compile(
    r"BUG|WARN|UBSAN|INFO: |[Pp]anic|PANIC|\[#\d|nable to (?:handle|exec)|Bad mode|SError|stack"
    r"|Watchdog|WATCHDOG|LOCKUP|kmemleak|unreferenced|rcu: |oom|ut of memory|alloc|Unable to alloc"
    r"|more than|Unhandled|orrupt|preempt|MSR|irq|duplicate|kobject|lab|bad p|swap|waiting for"
    r"|Busy|refcount|ODEBUG|usercopy|detected|DMA-API|_cache|CFI|Assertion|NX-|overran|registered|NMI"
    r"|release\(|initcall|dumped|[sS]ys[rR]q|FAULT_|unhandled|segfault|undefined|bad frame"
    r"|fatal signal|Mem-Info|nobody|Hardware Error|Oops|huh|overwritten|ouble free|lockup|Disabling"
    r"|eadlock|overflow|\berrors?\b|Error|critical|hut(?:ting)? ?down|Aborting|Remounting|readonly"
    r"|data loss|be lost|dirty metadata|csd: |vmstat_|NOHZ|already present|Dead loop|Attempt to"
    r"|vfree|failed|brelse"
)
# "Kernel panic - not syncing: ..." that only carries out what another splat led to.
TOLERABLE = frozenset({K.OOM_KILL, K.ALLOC_FAILURE})
_WRONG = frozenset(SplatKind) - TOLERABLE - {K.LEAK}
_CRASHES = frozenset({K.OOPS, K.BUG, K.KASAN, K.PANIC})
AFTERMATH: tuple[tuple[re.Pattern[str], frozenset[SplatKind]], ...] = (
    (re.compile(r"Fatal |Attempted to kill|Oopsed too often|Aiee"), _CRASHES),
    (re.compile(r"Machine halted|BUG!$|Unhandled |[Bb]ad mode|corrupted stack end"), _CRASHES),
    # The setting by which a report is the end: panic_on_warn, kasan.fault, kernel.panic_on_...
    (
        re.compile(r"panic_on_(?!oom)\w+|\w+[.=](?:fault|panic)\b|\bset \.\.\.|warned too often"),
        _WRONG,
    ),
    (re.compile(r"softlockup|hard lockup|LOCKUP", re.I), frozenset({K.LOCKUP})),
    (re.compile(r"scheduling while atomic"), frozenset({K.LOCKDEP, K.BUG})),
    (re.compile(r"hung_task"), frozenset({K.HUNG_TASK})),
    (re.compile(r"RCU Stall", re.I), frozenset({K.RCU_STALL})),
    (re.compile(r"stack overflow"), frozenset({K.PANIC, K.OOPS})),
    (re.compile(r"SError"), frozenset({K.OOPS})),
)
# A panic of its own, however close a splat stands.
OWN_CAUSE = re.compile(
    r"(?:Attempted to kill init|VFS: |No working init|Requested init|Out of memory|System is dead)"
)
QUOTED = re.compile(r"\s*# ")  # a test's own words
CUT_HERE = re.compile(r"-+\[ (?:cut here|ftrace bug) \]-+")
# The last line of a splat, for kinds that do not say otherwise.
END = re.compile(r"---\[ end |Rebooting in \d")
# Lines that are never inside a splat: KTAP, a shell's prompt, another tool's stack dump.
BOUNDARY = re.compile(
    r"\s*(?:#(?!\d+: |PF: )|(?:not )?ok \d|K?TAP version|1\.\.\d)|[~/]\S* [#$](?: |$)|[#$] "
    r"|-+\[ cut here \]-+|FAULT_INJECTION: "
)
# How many lines of others may stand inside a splat; lockdep writes prose.
PATIENCE: dict[SplatKind | None, int] = {None: 4, K.LOCKDEP: 30, K.KASAN: 30, K.OOM_KILL: 60}
# Lines from the inside of a splat only, however many others stand between.
_INSIDE = (
    # registers and where the processor was
    r"(?:[RE][A-Z0-9]{2}|[C-G]S|[CD]R\d|PKRU|x\d+|pc|lr|sp|pstate|pmr_save|Code)\s*: ?"
    r"|Call [Tt]race|backtrace|stack backtrace|Mem abort info|Data abort info|#PF: |PGD |Oops"
    r"|Internal error|\[[0-9a-f]{8,16}\] |(?:user|swapper) pgtable"
    # whose it is
    r"|CPU: \d|Modules linked in|Hardware name|Workqueue: |Tainted: |note: |task:"
    r"|\s+(?:Not tainted|Tainted: )|irq event stamp|(?:hard|soft)irqs (?:last|enabled)"
    r"|(?:in_atomic|preempt_count)\(|Preemption disabled at|\d+ locks? held by"
    r"|Showing all locks|Last user|Last potentially|handlers:|\[<[^<>]{1,24}>\] |Disabling IRQ "
    r"|INFO: lockdep is turned off|\"echo 0 > |Sending NMI|NMI backtrace|Task dump"
    r"|name \w+, interval"
    # locks
    r"|.{1,40} is (?:trying to (?:acquire|release)|already holding)|but (?:task is|now in|this)"
    r"|(?:which|the) (?:lock already|new (?:lock )?depend|existing|shortest|dependencies|code is)"
    r"|-> #\d|\s+#\d+: |other info that|[0-9a-f]{8,16} \(.{1,200}\{.{1,20}\}|rcu_scheduler_active"
    r"|\S{1,200}:\d+ suspicious |caller is "
    # memory
    r"|(?:Read|Write|Free) (?:of|at) |Allocated by|Freed by|The buggy|Memory state|>?f{4}"
    r"|page: ?[0-9a-f(r]|page dumped|flags: 0x|raw: [0-9a-f]|FIX "
    r"|INFO: (?:Slab|Object|Allocated|Freed|0x)|Redzone|Mem-Info|active_anon|Node \d"
    r"|lowmem_reserve|Swap cache|Free swap|Total swap|Unreclaimable slab|Tasks state"
    r"|\[ *(?:pid|\d+) *\]|oom-kill:"
    r"|\s+(?:comm \"|hex dump|backtrace|cache: |node \d+: slabs)"
)
INSIDE = re.compile(_INSIDE)
# Lines that may be from the inside of a splat, where they follow it.
BODY = re.compile(
    r"\s+\S"  # stack frames, held locks, dumps that go on
    r"|KASAN: |CPU \d|rcu:|Object|flags: |raw: |page:|(?:in_atomic|preempt_count)|-{20,}|={20,}"
    # ends of the kernel
    r"|Kernel panic|Kernel Offset|SMP: |PHYS_OFFSET|CPU features|Memory Limit|---\["
    r"|Kernel version|Task stack|IRQ stack|Overflow stack|ESR: |FAR: |Starting crashdump"
    # memory
    r"|\d+ (?:total )?pages? ?|Name +Used|[\w:-]+ +\d+KB +\d+KB|(?:DMA|Normal|HighMem)\d*: "
    r"|oom_reaper|(?:[Mm]emory|swap|kmem)\S*:? usage"
    r"|Memory cgroup|(?:anon|file|slab|kernel|sock|shmem|pg\w+|work\w+|inactive|active)\w* \d+"
    rf"|{_INSIDE}"
)
# Each of these stands once in a dump of a stack. The first of them that no splat can have is one of
# a complaint that no rule knows.
LANDMARK = re.compile(
    r"(?P<cpu>CPU: \d+ (?:UID: \d+ )?(?:PID: \d+|Comm: ))|(?P<hardware>Hardware name: )"
    r"|(?P<modules>Modules linked in:)|(?P<trace>[Cc]all [Tt]race(?: .{0,40})?:)"
    r"|(?P<counter>RIP: 0010:|pc : [\w.$]+\+0x|PC is at )|(?P<memory>Mem-Info:)"
    r"|(?P<task>task:.{1,64}? state:)|(?P<other>NMI backtrace for cpu )"
)
# Behind the stack of a task that hangs: what the others do.
OTHERS = re.compile(r"Showing all locks|Sending NMI|NMI backtrace|INFO: task .* blocked on ")
SEVERAL = frozenset({K.RCU_STALL, K.LOCKUP, K.HUNG_TASK})  # kinds that dump several stacks
# Lines of a stack or of registers: of the dump that began last, however many others stand between.
FRAME = re.compile(
    r"\s+(?:\[<[^<>]{1,24}>\] )?(?:\? )?[\w.$]{1,200}\+0x[0-9a-f]+/0x[0-9a-f]+|\s+</?[A-Z]{2,9}>$"
    r"|(?:[RE][A-Z0-9]{2}|[C-G]S|[CD]R\d|PKRU|x\d+ *|pc|lr|sp|pstate|pmr_save|Code) ?: ?"
)
# Lines between the head of a crash and its "[#1]".
CRASHING = re.compile(
    r"#PF: |PGD |(?:Mem|Data|Instruction) abort info|\s+(?:ESR|EC|SET|EA|FSC|ISV|CM|GCS) ="
    r"|\[[0-9a-f]{8,16}\] pgd=|(?:user|swapper) pgtable|KASAN: "
)
# What a crash prints once more behind its end.
TRAILER = re.compile(
    r"RIP: |Code: |note: |Fixing recursive fault|[RE][A-Z0-9]{2}: |[C-G]S: |CR\d: |DR\d: |PKRU: "
)
