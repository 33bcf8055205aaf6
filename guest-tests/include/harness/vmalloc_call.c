// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include <harness/fault_inject.h>
#include <harness/memory.h>
#include <harness/progress.h>
#include <harness/sleep_watch.h>
#include <harness/symbol.h>
#include <harness/timed_call.h>
#include <harness/vmalloc_call.h>
#include <harness/vmalloc_place.h>

void *alloc_vmalloc(unsigned long size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

void *alloc_kvmalloc(unsigned long size, gfp_t gfp)
{
	return kvmalloc(size, gfp);
}

void *alloc_huge(unsigned long size, gfp_t gfp)
{
	return harness_vmalloc_huge(size, gfp);
}

/* kvmalloc uses huge mappings as well, since 5.18. They need no table of the last level. */
static bool may_be_huge(const struct vmalloc_call *call)
{
	return IS_ENABLED(CONFIG_HAVE_ARCH_HUGE_VMALLOC) &&
	       (call->alloc == alloc_kvmalloc || call->alloc == alloc_huge);
}

/* ---- one call in the current task */

/*
 * A call that failed may have built tables in its region, but not the first. Build that one, so
 * that find_fresh() sees that the region has been used. The area of the failed call is only gone
 * for good when lazily freed ones have been purged.
 */
static void mark_region_used(struct tracked_task *tracked)
{
	alloc_watch_suspend();
	tracked->plan = (struct fault_plan){};
	vm_unmap_aliases();
	vfree(__vmalloc(PAGE_SIZE, GFP_KERNEL));
	vm_unmap_aliases();
	alloc_watch_resume();
}

static struct tracked_task *track(const struct vmalloc_call *call)
{
	struct tracked_task *tracked = tracked_task_prepare(0);

	tracked->start = call->start;
	tracked->end = call->to;
	tracked->plan = call->plan;
	tracked->random = call->plan.seed;
	tracked_task_start(tracked);
	return tracked;
}

void vmalloc_call_make(struct vmalloc_call *call)
{
	unsigned int before = current->flags & HARNESS_SCOPES;
	struct tracked_task *tracked;
	ktime_t begun;

	current->flags |= call->outer;
	tracked = track(call);
	alloc_watch_begin();
	begun = ktime_get();
	call->addr = call->alloc(call->size, call->gfp);
	progress_done_since(begun);
	call->did = *tracked;
	call->scope = current->flags & HARNESS_SCOPES;
	call->fatal = fatal_signal_pending(current);
	call->seen = alloc_watch_seen();
	call->injected = call->did.failed;
	/* It has come through without a sleep after the last refusal. */
	call->did.unslept += call->addr && call->did.owes_sleep;
	if (!call->addr && call->seen.tables && !call->to)
		mark_region_used(tracked);
	tracked_task_stop(tracked);
	current->flags &= ~HARNESS_SCOPES;
	current->flags |= before;
}

/* ---- where it goes */

void vmalloc_call_place(struct vmalloc_call *call)
{
	call->start = vmalloc_place_region();
	call->expected = vmalloc_place_is_first_round();
	if (!may_be_huge(call))
		call->expected += DIV_ROUND_UP(call->size, PMD_SIZE);
	if (call->crossing) {
		call->start = vmalloc_place_crossing() - PMD_SIZE;
		call->expected = 1; /* the far side has been built to see that it is fresh */
	}
	if (call->to) {
		call->start = call->from;
		call->expected = 0;
	}
}

/* Go to the next crossing that has not been used; the page behind it is mapped to see that. */
static int find_fresh_crossing(void)
{
	unsigned long crossing;

	while ((crossing = vmalloc_place_crossing())) {
		struct vmalloc_call probe = {
			.alloc = alloc_vmalloc,
			.size = PAGE_SIZE,
			.gfp = GFP_KERNEL,
			.from = crossing,
			.to = crossing + 2 * PAGE_SIZE,
		};

		probe.start = probe.from;
		vmalloc_call_make(&probe);
		vfree(probe.addr);
		vm_unmap_aliases();
		if (probe.addr && probe.seen.tables)
			return 0;
		vmalloc_place_next_crossing();
	}
	return -ENOSPC;
}

/* ---- one call in the worker */

static struct vmalloc_call worker_call; /* the worker's own copy: it may outlive the case */

/* A thread of the kernel has to ask for a signal to get it. */
static void kill_current(bool kill)
{
	if (kill) {
		allow_signal(SIGKILL);
		send_sig(SIGKILL, current, 1);
	} else {
		flush_signals(current);
		disallow_signal(SIGKILL);
	}
}

static void worker_make(void *data)
{
	struct vmalloc_call *call = data;

	if (call->killed)
		kill_current(true);
	vmalloc_call_make(call);
	if (call->killed)
		kill_current(false);
}

static void worker_meanwhile(void *data)
{
	struct vmalloc_call *call = data;

	call->meanwhile(call->data);
}

bool vmalloc_call_is_stuck(void *data)
{
	static unsigned int progress, sleeps;
	const struct vmalloc_call *call = data;
	struct tracked_task *tracked = &tracked_tasks[0];
	unsigned int now = READ_ONCE(tracked->sleeps), failed = READ_ONCE(tracked->failed);
	/* Help comes from a task that needs the CPU for it. */
	unsigned int patience = call->meanwhile ? 20 * VMALLOC_CALL_PATIENCE : VMALLOC_CALL_PATIENCE;

	/* Under pressure the page allocator sleeps as well, but reclaims in between. */
	if (progress != READ_ONCE(alloc_watch_progress) || now < sleeps)
		sleeps = now;
	progress = READ_ONCE(alloc_watch_progress);
	if (now <= failed + 20 * VMALLOC_CALL_PATIENCE && now - sleeps <= failed + patience)
		return false;
	WRITE_ONCE(tracked->parked, true);
	return true;
}

int vmalloc_call_run(struct vmalloc_call *call)
{
	const struct timed_call timed = {
		.function = worker_make,
		.data = &worker_call,
		.progress = &alloc_watch_progress,
		.is_stuck = vmalloc_call_is_stuck,
		.meanwhile = call->meanwhile ? worker_meanwhile : NULL,
	};
	int error;

	call->addr = NULL;
	if (timed_call_is_stuck())
		return -ETIMEDOUT;
	/*
	 * The Nth request of a call must be the same each time. vmalloc keeps a descriptor in store
	 * for areas that split a free one; where a lazily freed area lies in the way, the next call
	 * splits none, and the request that fills the store comes and goes.
	 */
	vm_unmap_aliases();
	if (call->crossing && find_fresh_crossing())
		return -ENOSPC;
	vmalloc_call_place(call);
	worker_call = *call;
	error = timed_call_run(&timed);
	if (error)
		return error;
	*call = worker_call;
	if (call->crossing)
		vmalloc_place_next_crossing();
	/* A region without a single table is as good as before. */
	else if (call->seen.tables && !call->to)
		vmalloc_place_next_region();
	return 0;
}

void vmalloc_call_free(struct vmalloc_call *call)
{
	kvfree(call->addr);
	call->addr = NULL;
}

/* ---- what came of it */

static struct vm_struct *(*find_area)(const void *addr);
static unsigned long (*count_pages)(void);

struct vm_struct *vmalloc_area_of(const void *addr)
{
	return find_area(addr);
}

bool vmalloc_call_in_place(const struct vmalloc_call *call)
{
	return (unsigned long)call->addr == call->start;
}

/*
 * Pages of all kernel stacks, which come from vmalloc as well: those of tasks that come and go
 * would hide what a call leaves. The statistics are kept by CPU, and added up here.
 */
static unsigned long stack_pages(void)
{
	long kib = 0;
	int cpu;

	if (!IS_ENABLED(CONFIG_VMAP_STACK))
		return 0;
	for_each_possible_cpu(cpu)
		kib += per_cpu_ptr(NODE_DATA(0)->per_cpu_nodestats, cpu)
			       ->vm_node_stat_diff[NR_KERNEL_STACK_KB];
	kib += global_node_page_state(NR_KERNEL_STACK_KB);
	return kib * 1024 / (long)PAGE_SIZE;
}

long vmalloc_pages_count(void)
{
	return count_pages() - stack_pages();
}

#define LOOKS 20

long vmalloc_pages_drift(long before)
{
	long drift = vmalloc_pages_count() - before, again;
	int looks = HARNESS_COUNT_EXACT ? LOOKS : 0;

	while (drift && looks--) {
		schedule_timeout_uninterruptible(1);
		again = vmalloc_pages_count() - before;
		if (abs(again) < abs(drift))
			drift = again;
	}
	return drift;
}

/* The array of pages follows the area if it has an area of its own. */
unsigned int vmalloc_call_areas_left(const struct vmalloc_call *call)
{
	unsigned long from = call->start, to = from + 2 * call->size + 64 * PAGE_SIZE;
	struct vm_struct *area;
	unsigned int left = 0;

	to = call->to ?: to;
	while (from < to) {
		area = find_area((void *)from);
		left += !!area;
		from += area ? area->size : PAGE_SIZE;
	}
	return left;
}

bool vmalloc_call_left(const struct vmalloc_call *call)
{
	int tries = HARNESS_ATOMIC_VMALLOC ? 100 : 0; /* it cleans up in a work item */

	while (vmalloc_call_areas_left(call) || alloc_watch_objects_left() ||
	       alloc_watch_pages_left()) {
		if (!tries--)
			return true;
		msleep(10);
	}
	return false;
}

/*
 * Whether the area is of the right size: as large as asked for, guard page aside, with as many
 * pages in it, each mapped where it belongs. Huge mappings round up to their own size.
 */
static bool is_sized(const struct vmalloc_call *call)
{
	unsigned long want = PAGE_ALIGN(call->size), have;
	const struct vm_struct *area = find_area(call->addr);

	if (!area)
		return false;
	have = get_vm_area_size(area);
	return (may_be_huge(call) ? have >= want : have == want) &&
	       area->nr_pages == have / PAGE_SIZE && area->pages &&
	       memory_mapped_until(call->addr, want, area->pages) == want;
}

bool vmalloc_call_sound(const struct vmalloc_call *call)
{
	if (is_vmalloc_addr(call->addr) && !is_sized(call))
		return false;
	if (call->gfp & __GFP_ZERO &&
	    memory_zero_until(call->addr, call->size) != call->size)
		return false;
	return memory_own_until(call->addr, call->size) == call->size;
}

/* ---- set-up */

/* Go to the first region that no call of this or an earlier test has been sent to. */
static int find_fresh(void)
{
	struct vmalloc_call probe = {
		.alloc = alloc_vmalloc, .size = PAGE_SIZE, .gfp = GFP_KERNEL,
	};
	int error;

	vm_unmap_aliases();
	vmalloc_place_rewind();
	do {
		if (vmalloc_place_is_used_up()) {
			pr_err("harness: no vmalloc space without page tables left\n");
			return -ENOSPC;
		}
		error = vmalloc_call_run(&probe);
		if (error || !probe.addr)
			return error ?: -ENOMEM;
		if ((unsigned long)probe.addr < probe.start) {
			pr_err("harness: vmalloc does not go where it is sent\n");
			vmalloc_call_free(&probe);
			return -EINVAL;
		}
		/* Taken, or has tables: vmalloc_call_run() went on only if it had to build some. */
		if (!probe.seen.tables)
			vmalloc_place_next_region();
		vmalloc_call_free(&probe);
	} while (probe.seen.tables < probe.expected);
	return 0;
}

void vmalloc_call_close(void)
{
	timed_call_close();
	vmalloc_place_close();
	sleep_watch_close();
	fault_inject_close();
	alloc_watch_close();
}

int vmalloc_call_open(void)
{
	int error;

	find_area = (void *)symbol_address("find_vm_area");
	count_pages = harness_vmalloc_count;
	if (!count_pages)
		count_pages = (void *)symbol_address("vmalloc_nr_pages");
	if (!find_area || !count_pages) {
		pr_err("harness: no find_vm_area or vmalloc_nr_pages\n");
		return -ENOENT;
	}
	error = alloc_watch_open();
	if (error)
		return error;
	error = fault_inject_open();
	if (error)
		goto no_faults;
	error = sleep_watch_open();
	if (error)
		goto no_sleep_watch;
	error = vmalloc_place_open();
	if (error)
		goto no_place;
	error = timed_call_open();
	if (error)
		goto no_worker;
	error = find_fresh();
	if (!error)
		return 0;
	pr_err("harness: cannot find fresh vmalloc space: error %d\n", error);
	timed_call_close();
no_worker:
	vmalloc_place_close();
no_place:
	sleep_watch_close();
no_sleep_watch:
	fault_inject_close();
no_faults:
	alloc_watch_close();
	return error;
}
