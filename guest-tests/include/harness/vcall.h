/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One call of a vmalloc function under observation: steered to address space without page tables,
 * chosen allocations failed, all of them watched, its time bounded.
 *
 * A suite calls vcall_open() in its setup and vcall_close() in its teardown.
 */
#ifndef HARNESS_VCALL_H
#define HARNESS_VCALL_H

#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include <harness/bounded.h>
#include <harness/compat.h>
#include <harness/inject.h>
#include <harness/memory.h>
#include <harness/pause.h>
#include <harness/progress.h>
#include <harness/steer.h>
#include <harness/watch.h>

struct vcall {
	/* What to do. */
	void *(*alloc)(unsigned long size, gfp_t gfp);
	unsigned long size;
	gfp_t gfp;
	struct inject_plan plan;
	unsigned int outer; /* scope around the call: PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, 0 */
	bool killed;	    /* a fatal signal is pending all the while */
	bool crossing;	    /* across two entries of the top-level page table */
	unsigned long from, to; /* into this range of addresses and nowhere else; to 0: anywhere */
	void (*meanwhile)(void); /* what another task does while it runs, again and again */
	/* What came of it. */
	void *addr;
	bool injected;	       /* something was failed */
	unsigned long start;   /* where the call was steered to */
	unsigned int expected; /* page-table pages that a call which maps all must have built */
	unsigned int scope;    /* scopes in force right after the call, inside the outer one */
	bool fatal;	       /* the fatal signal was still pending then */
	struct subject did;
	struct watch seen;
};

static __maybe_unused void *alloc_vmalloc(unsigned long size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

static __maybe_unused void *alloc_kvmalloc(unsigned long size, gfp_t gfp)
{
	return kvmalloc(size, gfp);
}

/* In huge mappings, where the kernel and the architecture have them for vmalloc. */
static __maybe_unused void *alloc_huge(unsigned long size, gfp_t gfp)
{
	return harness_vmalloc_huge(size, gfp);
}

/* kvmalloc uses them as well, since 5.18. They need no table of the last level. */
static __maybe_unused bool may_be_huge(const struct vcall *call)
{
	return IS_ENABLED(CONFIG_HAVE_ARCH_HUGE_VMALLOC) &&
	       (call->alloc == alloc_kvmalloc || call->alloc == alloc_huge);
}

/*
 * Where fresh address space is: a call gets a region of its own, as large as one table of the last
 * level but one covers, so that tables of the last two levels are new. When the space has been
 * gone through once (it is small with 39-bit addresses), the next round takes a later place in
 * each region, where only the tables of the last level are new.
 */
#define FRESH_SKIP 4UL	   /* regions at the bottom and top that the kernel itself uses */
#define FRESH_CROSSINGS 48 /* regions below those at the top that are kept for crossing calls */
#define FRESH_STEP (32 * PMD_SIZE)

static unsigned long fresh_region, fresh_offset, fresh_crossing;

static unsigned long fresh_bottom(void)
{
	return ALIGN(VMALLOC_START, PUD_SIZE) + FRESH_SKIP * PUD_SIZE;
}

static void fresh_rewind(void)
{
	fresh_region = fresh_bottom();
	fresh_offset = 0;
	fresh_crossing = ALIGN_DOWN(VMALLOC_END, PGDIR_SIZE) - FRESH_SKIP * PUD_SIZE;
	fresh_crossing = ALIGN_DOWN(fresh_crossing, PGDIR_SIZE);
}

static void fresh_advance(void)
{
	fresh_region += PUD_SIZE;
	if (fresh_region + (FRESH_SKIP + FRESH_CROSSINGS) * PUD_SIZE <= VMALLOC_END)
		return;
	fresh_region = fresh_bottom();
	fresh_offset += FRESH_STEP;
}

static struct vcall vcall_now; /* the worker's own copy: it may outlive the case */

/*
 * A call that failed may have built tables in its region, but not the first. Build that one, so
 * that fresh_find() sees that the region has been used. The area of the failed call is only gone
 * for good when lazily freed ones have been purged.
 */
static void fresh_seal(void)
{
	WRITE_ONCE(watch_task, NULL);
	subjects[0].plan = (struct inject_plan){};
	vm_unmap_aliases();
	vfree(__vmalloc(PAGE_SIZE, GFP_KERNEL));
	vm_unmap_aliases();
	WRITE_ONCE(watch_task, current);
}

static void vcall_steer(const struct vcall *call)
{
	struct subject *subject = subject_begin(0);

	subject->start = call->start;
	subject->end = call->to;
	subject->plan = call->plan;
	subject->random = call->plan.seed;
	subject_go(subject);
}

/* A thread of the kernel has to ask for a signal to get it. */
static void vcall_kill(bool kill)
{
	if (kill) {
		allow_signal(SIGKILL);
		send_sig(SIGKILL, current, 1);
	} else {
		flush_signals(current);
		disallow_signal(SIGKILL);
	}
}

/* Make the call in the current task. */
static void vcall_make(struct vcall *call)
{
	unsigned int before = current->flags & HARNESS_SCOPES;
	struct subject *subject = &subjects[0];
	ktime_t begun;

	current->flags |= call->outer;
	vcall_steer(call);
	watch_begin();
	begun = ktime_get();
	call->addr = call->alloc(call->size, call->gfp);
	progress_done_since(begun);
	call->did = *subject;
	call->scope = current->flags & HARNESS_SCOPES;
	call->fatal = fatal_signal_pending(current);
	call->seen = watch;
	call->injected = call->did.failed;
	/* It has come through without a sleep after the last refusal. */
	call->did.unslept += call->addr && call->did.owes;
	if (!call->addr && call->seen.tables && !call->to)
		fresh_seal();
	subject_end(subject);
	current->flags &= ~HARNESS_SCOPES;
	current->flags |= before;
}

static void vcall_work(void)
{
	if (vcall_now.killed)
		vcall_kill(true);
	vcall_make(&vcall_now);
	if (vcall_now.killed)
		vcall_kill(false);
}

/*
 * It sleeps again and again, far more often than it was failed, and allocates nothing: it is going
 * round in circles. Let it sleep for good the next time, or it fills the log. (Under pressure the
 * page allocator sleeps as well, but reclaims in between.)
 */
#define VCALL_PATIENCE 50

static bool vcall_hopeless(void)
{
	static unsigned int life, sleeps;
	struct subject *subject = &subjects[0];
	unsigned int now = READ_ONCE(subject->sleeps), failed = READ_ONCE(subject->failed);
	/* Help comes from a task that needs the CPU for it. */
	unsigned int patience = vcall_now.meanwhile ? 20 * VCALL_PATIENCE : VCALL_PATIENCE;

	if (life != READ_ONCE(watch_life) || now < sleeps)
		sleeps = now;
	life = READ_ONCE(watch_life);
	if (now <= failed + 20 * VCALL_PATIENCE && now - sleeps <= failed + patience)
		return false;
	WRITE_ONCE(subject->parked, true);
	return true;
}

static void vcall_place(struct vcall *call)
{
	call->start = fresh_region + fresh_offset;
	call->expected = !fresh_offset;
	if (!may_be_huge(call))
		call->expected += DIV_ROUND_UP(call->size, PMD_SIZE);
	if (call->crossing) {
		call->start = fresh_crossing - PMD_SIZE;
		call->expected = 1; /* the far side has been built to see that it is fresh */
	}
	if (call->to) {
		call->start = call->from;
		call->expected = 0;
	}
}

/*
 * Has vmalloc space several entries of the top-level table? With addresses of 52 bits, as arm64 has
 * them from 6.9 on where the CPU can, all of it lies below one.
 */
static __maybe_unused bool vcall_can_cross(void)
{
	return (VMALLOC_END - VMALLOC_START) / PGDIR_SIZE > FRESH_SKIP + 2;
}

#define VCALL_UNCROSSABLE "all of vmalloc space lies below one entry of the top-level table"

/* Go to the next crossing that has not been used; the page behind it is mapped to see that. */
static int fresh_cross(void)
{
	while (fresh_crossing > VMALLOC_START + (FRESH_SKIP + 1) * PGDIR_SIZE) {
		struct vcall probe = {
			.alloc = alloc_vmalloc,
			.size = PAGE_SIZE,
			.gfp = GFP_KERNEL,
			.from = fresh_crossing,
			.to = fresh_crossing + 2 * PAGE_SIZE,
		};

		probe.start = probe.from;
		vcall_make(&probe);
		vfree(probe.addr);
		vm_unmap_aliases();
		if (probe.addr && probe.seen.tables)
			return 0;
		fresh_crossing -= PGDIR_SIZE;
	}
	return -ENOSPC;
}

/*
 * Make the call; 0, or -ETIMEDOUT if it does not come back, -ENOSPC if no place is left for it.
 */
static __maybe_unused int vcall_run(struct vcall *call)
{
	const struct bounded bounded = {
		.function = vcall_work,
		.progress = &watch_life,
		.hopeless = vcall_hopeless,
		.meanwhile = call->meanwhile,
	};
	int error;

	call->addr = NULL;
	if (bounded_stuck)
		return -ETIMEDOUT;
	/*
	 * The Nth request of a call must be the same each time. vmalloc keeps a descriptor in store
	 * for areas that split a free one; where a lazily freed area lies in the way, the next call
	 * splits none, and the request that fills the store comes and goes.
	 */
	vm_unmap_aliases();
	if (call->crossing && fresh_cross())
		return -ENOSPC;
	vcall_place(call);
	vcall_now = *call;
	error = bounded_run(&bounded);
	if (error)
		return error;
	*call = vcall_now;
	if (call->crossing)
		fresh_crossing -= PGDIR_SIZE;
	/* A region without a single table is as good as before. */
	else if (call->seen.tables && !call->to)
		fresh_advance();
	return 0;
}

static __maybe_unused void vcall_free(struct vcall *call)
{
	kvfree(call->addr);
	call->addr = NULL;
}

/* Whether the memory is where the call was steered to. */
static __maybe_unused bool vcall_steered(const struct vcall *call)
{
	return (unsigned long)call->addr == call->start;
}

static struct vm_struct *(*vcall_find_area)(const void *addr);
static unsigned long (*vcall_count)(void);

/*
 * Pages of all kernel stacks, which come from vmalloc as well: those of tasks that come and go
 * would hide what a call leaves. The statistics are kept by CPU, and added up here.
 */
static unsigned long vcall_stack_pages(void)
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

/* Pages that vmalloc has given out, but for kernel stacks; some of ended tasks are in it, too. */
static __maybe_unused long vcall_nr_pages(void)
{
	return vcall_count() - vcall_stack_pages();
}

#define VCALL_LOOKS 20
#define VCALL_STRAY 256L /* pages of stacks that may be in the count, but belong to no task */

/*
 * By how many pages the count has drifted since it was @before. The stack of a task that ended is
 * in it until a work item has freed it, and from 5.18 on for a grace period as well: where tasks
 * come and go, what counts is the closest of some looks. What a call lost is lost in each.
 */
static __maybe_unused long vcall_drift(long before)
{
	long drift = vcall_nr_pages() - before, again;
	int looks = HARNESS_COUNT_EXACT ? VCALL_LOOKS : 0;

	while (drift && looks--) {
		schedule_timeout_uninterruptible(1);
		again = vcall_nr_pages() - before;
		if (abs(again) < abs(drift))
			drift = again;
	}
	return drift;
}

/*
 * Areas that are still there where @call had its own: after vcall_free(), or a call that failed,
 * there must be none. The array of pages follows the area if it has an area of its own.
 */
static __maybe_unused unsigned int vcall_areas_left(const struct vcall *call)
{
	unsigned long from = call->start, to = from + 2 * call->size + 64 * PAGE_SIZE;
	struct vm_struct *area;
	unsigned int left = 0;

	to = call->to ?: to;
	while (from < to) {
		area = vcall_find_area((void *)from);
		left += !!area;
		from += area ? area->size : PAGE_SIZE;
	}
	return left;
}

/*
 * Whether anything of a call is left after vcall_free(), or after a call that failed: an area, a
 * kmalloc object, a page.
 */
static __maybe_unused bool vcall_left(const struct vcall *call)
{
	int tries = HARNESS_ATOMIC_VMALLOC ? 100 : 0; /* it cleans up in a work item */

	while (vcall_areas_left(call) || watch_objects_left() || watch_pages_left()) {
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
static __maybe_unused bool vcall_sized(const struct vcall *call)
{
	unsigned long want = PAGE_ALIGN(call->size), have;
	const struct vm_struct *area = vcall_find_area(call->addr);

	if (!area)
		return false;
	have = get_vm_area_size(area);
	return (may_be_huge(call) ? have >= want : have == want) &&
	       area->nr_pages == have / PAGE_SIZE && area->pages &&
	       memory_mapped_until(call->addr, want, area->pages) == want;
}

/* The same, and its memory is zero where it was asked for, and its own. */
static __maybe_unused bool vcall_sound(const struct vcall *call)
{
	if (is_vmalloc_addr(call->addr) && !vcall_sized(call))
		return false;
	if (call->gfp & __GFP_ZERO &&
	    memory_zero_until(call->addr, call->size) != call->size)
		return false;
	return memory_own_until(call->addr, call->size) == call->size;
}

/* Go to the first region that no call of this or an earlier test has been steered to. */
static int fresh_find(void)
{
	struct vcall probe = { .alloc = alloc_vmalloc, .size = PAGE_SIZE, .gfp = GFP_KERNEL };
	int error;

	vm_unmap_aliases();
	fresh_rewind();
	do {
		if (fresh_offset + FRESH_STEP >= PUD_SIZE) {
			pr_err("harness: no vmalloc space without page tables left\n");
			return -ENOSPC;
		}
		error = vcall_run(&probe);
		if (error || !probe.addr)
			return error ?: -ENOMEM;
		if ((unsigned long)probe.addr < probe.start) {
			pr_err("harness: vmalloc does not go where it is steered\n");
			vcall_free(&probe);
			return -EINVAL;
		}
		/* Taken, or has tables: vcall_run() went on only if it had to build some. */
		if (!probe.seen.tables)
			fresh_advance();
		vcall_free(&probe);
	} while (probe.seen.tables < probe.expected);
	return 0;
}

static __maybe_unused void vcall_close(void)
{
	bounded_close();
	steer_close();
	pause_close();
	inject_close();
	watch_close();
}

static __maybe_unused int vcall_open(void)
{
	int error;

	vcall_find_area = (void *)symbol_address("find_vm_area");
	vcall_count = harness_vmalloc_count;
	if (!vcall_count)
		vcall_count = (void *)symbol_address("vmalloc_nr_pages");
	if (!vcall_find_area || !vcall_count) {
		pr_err("harness: no find_vm_area or vmalloc_nr_pages\n");
		return -ENOENT;
	}
	error = watch_open();
	if (error)
		return error;
	error = inject_open();
	if (error)
		goto no_inject;
	error = pause_open();
	if (error)
		goto no_pause;
	error = steer_open();
	if (error)
		goto no_steer;
	error = bounded_open();
	if (error)
		goto no_worker;
	error = fresh_find();
	if (!error)
		return 0;
	pr_err("harness: cannot find fresh vmalloc space: error %d\n", error);
	bounded_close();
no_worker:
	steer_close();
no_steer:
	pause_close();
no_pause:
	inject_close();
no_inject:
	watch_close();
	return error;
}

#endif
