/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watch what one task allocates: every request to the page allocator with the flags that really
 * hold for it, the pages and the kmalloc objects that nobody has freed yet.
 *
 * One watch at a time. What the task allocates while it reclaims (PF_MEMALLOC) is not part of the
 * work it was asked for, and is left out; so are interrupts that happen to hit it, and what the
 * kernel's checkers take for themselves (aside.h).
 */
#ifndef HARNESS_WATCH_H
#define HARNESS_WATCH_H

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include <harness/aside.h>
#include <harness/subject.h>
#include <harness/symbol.h>

#define WATCH_OBJECTS 64
#define WATCH_PAGES (1UL << 20) /* page frames are told apart modulo this: 4 GiB */

struct watch {
	unsigned int pages;	/* requests to the page allocator */
	unsigned int pages_fs;	/* of these: could have entered filesystem reclaim */
	unsigned int pages_io;	/* could have started I/O */
	unsigned int tables;	/* page-table pages */
	unsigned int tables_fs;
	unsigned int tables_io;
	unsigned int insisted;	/* in bulk or for large blocks, and with __GFP_NOFAIL all the same */
	unsigned int large;	/* requests for large blocks */
	unsigned int kmallocs;	/* kmalloc objects allocated */
	unsigned int missed;	/* kmalloc objects that found no room in the list */
};

static struct watch watch;
static struct task_struct *watch_task;
static unsigned int watch_life; /* changes while the task gets on, if only by reclaiming */

static const void *watch_objects[WATCH_OBJECTS]; /* allocated and not freed yet */
static atomic_t watch_live;			 /* how many of them */

/* Page frames of vmalloc's own pages that the task has allocated and nobody has freed. */
static unsigned long *watch_frames;
static atomic_t watch_held;

/*
 * The flags that hold for a request by current: a NOIO scope takes away I/O and filesystem, a NOFS
 * scope the filesystem. The tracepoint gives the flags before that rule on the allocator's fast
 * path and after it on the slow one.
 */
static gfp_t watch_effective(gfp_t gfp)
{
	if (current->flags & PF_MEMALLOC_NOIO)
		return gfp & ~(__GFP_IO | __GFP_FS);
	if (current->flags & PF_MEMALLOC_NOFS)
		return gfp & ~__GFP_FS;
	return gfp;
}

static bool watch_on(void)
{
	return current == READ_ONCE(watch_task) && in_task() &&
	       !(current->flags & PF_MEMALLOC) && !subject_aside();
}

static void watch_take(struct page *page)
{
	if (!test_and_set_bit(page_to_pfn(page) % WATCH_PAGES, watch_frames))
		atomic_inc(&watch_held);
}

static void watch_request(gfp_t gfp, bool many)
{
	gfp_t effective = watch_effective(gfp);

	watch.pages++;
	watch_life++;
	watch.pages_fs += !!(effective & __GFP_FS);
	watch.pages_io += !!(effective & __GFP_IO);
	watch.insisted += many && gfp & __GFP_NOFAIL;
}

static void watch_page(void *unused, struct page *page, unsigned int order, gfp_t gfp, int type)
{
	gfp_t effective = watch_effective(gfp);
	bool own = gfp & __GFP_HIGHMEM; /* slab and page tables do without */
	unsigned int i;

	if (!watch_on())
		return;
	watch_request(gfp, own && order);
	watch.large += own && order;
	for (i = 0; own && page && i < 1U << order; i++)
		watch_take(page + i);
	if (!page || !is_table(order, gfp))
		return;
	watch.tables++;
	watch.tables_fs += !!(effective & __GFP_FS);
	watch.tables_io += !!(effective & __GFP_IO);
}

/*
 * Whoever frees it, and whenever: vmalloc memory may be freed by another task than it was allocated
 * by, after the call (since 6.19 a work item cleans up after one that failed).
 */
static void watch_page_free(void *unused, struct page *page, unsigned int order)
{
	unsigned int i;

	if (!atomic_read(&watch_held))
		return;
	for (i = 0; i < 1U << order; i++) {
		if (test_and_clear_bit((page_to_pfn(page) + i) % WATCH_PAGES, watch_frames))
			atomic_dec(&watch_held);
	}
}

/* The arguments after the pointer differ between kernels; none of them is needed. */
static void watch_kmalloc(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!watch_on() || !object)
		return;
	watch.kmallocs++;
	for (i = 0; i < WATCH_OBJECTS; i++) {
		if (watch_objects[i])
			continue;
		WRITE_ONCE(watch_objects[i], object);
		atomic_inc(&watch_live);
		return;
	}
	watch.missed++;
}

static void watch_kfree(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!object || !atomic_read(&watch_live))
		return;
	for (i = 0; i < WATCH_OBJECTS; i++) {
		if (cmpxchg(&watch_objects[i], object, NULL) == object)
			atomic_dec(&watch_live);
	}
}

static void watch_reclaim(void *unused)
{
	if (current == READ_ONCE(watch_task))
		watch_life++;
}

/*
 * Since 5.13 vmalloc takes single pages in bulk, which passes no tracepoint: one request each, as
 * seen from the entry of the function, and pages as seen from its return. (A breakpoint of x86
 * counts as NMI, so in_task() is of no use here; interrupts take no pages in bulk.)
 */
static int watch_bulk(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct page ***array = (struct page ***)instance->data;

	if (current != READ_ONCE(watch_task) || current->flags & PF_MEMALLOC || subject_aside())
		return 1; /* its return is of no interest */
	watch_request((__force gfp_t)*probe_argument(regs, 0), !HARNESS_BULK_MAY_INSIST);
	*array = (struct page **)*probe_argument(regs, HARNESS_BULK_ARRAY);
	return 0;
}

static int watch_bulk_done(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct page **array = *(struct page ***)instance->data;
	unsigned long i, count = regs_return_value(regs);

	for (i = 0; array && i < count; i++) {
		if (array[i])
			watch_take(array[i]);
	}
	return 0;
}

static struct kretprobe watch_bulk_probe = {
	.entry_handler = watch_bulk,
	.handler = watch_bulk_done,
	.data_size = sizeof(struct page **),
};

static struct hook watch_hooks[] = {
	{ .name = "mm_page_alloc", .probe = watch_page },
	{ .name = "mm_page_free", .probe = watch_page_free },
	{ .name = "kmalloc", .probe = watch_kmalloc },
	/* Merged into kmalloc in 6.1. */
	{ .name = "kmalloc_node", .probe = watch_kmalloc, .optional = true },
	{ .name = "kfree", .probe = watch_kfree },
	{ .name = "mm_vmscan_direct_reclaim_begin", .probe = watch_reclaim },
	{ .name = "mm_vmscan_direct_reclaim_end", .probe = watch_reclaim },
};

static __maybe_unused void watch_close(void)
{
	WRITE_ONCE(watch_task, NULL);
	hooks_detach(watch_hooks, ARRAY_SIZE(watch_hooks));
	return_probe_remove(&watch_bulk_probe);
	aside_close();
	vfree(watch_frames);
	watch_frames = NULL;
}

static __maybe_unused int watch_open(void)
{
	/* They got their suffix with allocation profiling, in 6.10. */
	static const char *const bulk[] = { "alloc_pages_bulk_noprof", "__alloc_pages_bulk" };
	int error;

	watch_frames = vzalloc(BITS_TO_LONGS(WATCH_PAGES) * sizeof(long));
	if (!watch_frames)
		return -ENOMEM;
	error = aside_open();
	/* Not in every kernel. */
	error = error ?: return_probe(&watch_bulk_probe, bulk, ARRAY_SIZE(bulk));
	if (!error || error == -ENOENT)
		error = hooks_attach(watch_hooks, ARRAY_SIZE(watch_hooks));
	if (error)
		watch_close();
	return error;
}

/* Start to watch current, from nothing. */
static __maybe_unused void watch_begin(void)
{
	WRITE_ONCE(watch_task, NULL);
	memset(&watch, 0, sizeof(watch));
	memset(watch_objects, 0, sizeof(watch_objects));
	atomic_set(&watch_live, 0);
	if (atomic_read(&watch_held))
		bitmap_zero(watch_frames, WATCH_PAGES);
	atomic_set(&watch_held, 0);
	WRITE_ONCE(watch_task, current);
}

/* Objects that were allocated under the watch and not freed by anybody since. */
static __maybe_unused unsigned int watch_objects_left(void)
{
	unsigned int left = watch.missed;
	int i;

	for (i = 0; i < WATCH_OBJECTS; i++)
		left += !!READ_ONCE(watch_objects[i]);
	return left;
}

/* The same for pages that vmalloc took to hand out. */
static __maybe_unused unsigned int watch_pages_left(void)
{
	return atomic_read(&watch_held);
}

#endif
