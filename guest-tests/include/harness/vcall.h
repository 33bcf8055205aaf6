/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One call of a vmalloc function under observation: steered to address space without page tables,
 * its Nth allocation failed if asked, all its allocations watched, its time bounded.
 *
 * A suite calls vcall_open() in its setup and vcall_close() in its teardown.
 */
#ifndef HARNESS_VCALL_H
#define HARNESS_VCALL_H

#include <linux/sched/mm.h>
#include <linux/string.h>

#include <harness/bounded.h>
#include <harness/compat.h>
#include <harness/inject.h>
#include <harness/steer.h>
#include <harness/watch.h>

struct vcall {
	/* What to do. */
	void *(*alloc)(unsigned long size, gfp_t gfp);
	unsigned long size;
	gfp_t gfp;
	unsigned int nth;   /* the allocation to fail; 0: none */
	unsigned int outer; /* scope around the call: PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, 0 */
	/* What came of it. */
	void *addr;
	bool injected;
	unsigned long start;   /* where the call was steered to */
	unsigned int expected; /* page-table pages that a call which maps all must have built */
	unsigned int scope;    /* scopes in force right after the call, inside the outer one */
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

/*
 * Where fresh address space is: a call gets a region of its own, as large as one table of the last
 * level but one covers, so that tables of the last two levels are new. When the space has been
 * gone through once (it is small with 39-bit addresses), the next round takes a later place in
 * each region, where only the tables of the last level are new.
 */
#define FRESH_SKIP 4UL /* regions at the bottom and top that the kernel itself uses */
#define FRESH_STEP (32 * PMD_SIZE)

static unsigned long fresh_region, fresh_offset;

static unsigned long fresh_bottom(void)
{
	return ALIGN(VMALLOC_START, PUD_SIZE) + FRESH_SKIP * PUD_SIZE;
}

static void fresh_rewind(void)
{
	fresh_region = fresh_bottom();
	fresh_offset = 0;
}

static void fresh_advance(void)
{
	fresh_region += PUD_SIZE;
	if (fresh_region + (FRESH_SKIP + 1) * PUD_SIZE <= VMALLOC_END)
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
	vm_unmap_aliases();
	vfree(__vmalloc(PAGE_SIZE, GFP_KERNEL));
	vm_unmap_aliases();
	WRITE_ONCE(watch_task, current);
}

static void vcall_work(void)
{
	struct vcall *call = &vcall_now;
	unsigned int before = current->flags & HARNESS_SCOPES;

	current->flags |= call->outer;
	steer_begin(call->start);
	watch_begin();
	inject_begin(call->nth);
	call->addr = call->alloc(call->size, call->gfp);
	call->injected = inject_end(call->nth);
	call->scope = current->flags & HARNESS_SCOPES;
	call->seen = watch;
	if (!call->addr && call->seen.tables)
		fresh_seal();
	steer_end();
	current->flags &= ~HARNESS_SCOPES;
	current->flags |= before;
}

/* Make the call; 0, or -ETIMEDOUT if it does not come back. */
static __maybe_unused int vcall_run(struct vcall *call)
{
	int error;

	call->addr = NULL;
	call->start = fresh_region + fresh_offset;
	call->expected = !fresh_offset;
	/* kvmalloc may use huge pages since 5.18, and they need no table of the last level. */
	if (!IS_ENABLED(CONFIG_HAVE_ARCH_HUGE_VMALLOC) || call->alloc != alloc_kvmalloc)
		call->expected += DIV_ROUND_UP(call->size, PMD_SIZE);
	if (bounded_stuck)
		return -ETIMEDOUT;
	vcall_now = *call;
	error = bounded_run(vcall_work, &watch.pages);
	if (error)
		return error;
	*call = vcall_now;
	/* A region without a single table is as good as before. */
	if (call->seen.tables)
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
static unsigned long (*vcall_nr_pages)(void);

/*
 * Areas that are still there where @call had its own: after vcall_free(), or a call that failed,
 * there must be none. The array of pages follows the area if it has an area of its own.
 */
static __maybe_unused unsigned int vcall_areas_left(const struct vcall *call)
{
	unsigned long from = call->start, to = from + 2 * call->size + 64 * PAGE_SIZE;
	struct vm_struct *area;
	unsigned int left = 0;

	while (from < to) {
		area = vcall_find_area((void *)from);
		left += !!area;
		from += area ? area->size : PAGE_SIZE;
	}
	return left;
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
	inject_close();
	watch_close();
}

static __maybe_unused int vcall_open(void)
{
	int error;

	vcall_find_area = (void *)symbol_address("find_vm_area");
	vcall_nr_pages = (void *)symbol_address("vmalloc_nr_pages");
	if (!vcall_find_area || !vcall_nr_pages) {
		pr_err("harness: no find_vm_area or vmalloc_nr_pages\n");
		return -ENOENT;
	}
	error = watch_open();
	if (error)
		return error;
	error = inject_open();
	if (error)
		goto no_inject;
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
	inject_close();
no_inject:
	watch_close();
	return error;
}

#endif
