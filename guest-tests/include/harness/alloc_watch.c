// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <harness/alloc_watch.h>
#include <harness/compat.h>
#include <harness/ignored_allocs.h>
#include <harness/symbol.h>
#include <harness/tracked_task.h>

#define OBJECTS 64
#define FRAMES (1UL << 20) /* page frames are told apart modulo this: 4 GiB */

unsigned int alloc_watch_progress;

static struct alloc_watch seen;
static struct task_struct *watched;

static const void *objects[OBJECTS]; /* allocated and not freed yet */
static atomic_t objects_live;	     /* how many of them */

/* Page frames of vmalloc's own pages that the task has allocated and nobody has freed. */
static unsigned long *frames;
static atomic_t frames_live;

/*
 * The flags that hold for a request by current: a NOIO scope takes away I/O and filesystem, a NOFS
 * scope the filesystem. The tracepoint gives the flags before that rule on the allocator's fast
 * path and after it on the slow one.
 */
static gfp_t effective_flags(gfp_t gfp)
{
	if (current->flags & PF_MEMALLOC_NOIO)
		return gfp & ~(__GFP_IO | __GFP_FS);
	if (current->flags & PF_MEMALLOC_NOFS)
		return gfp & ~__GFP_FS;
	return gfp;
}

static bool is_watched(void)
{
	return current == READ_ONCE(watched) && in_task() &&
	       !(current->flags & PF_MEMALLOC) && !tracked_task_is_ignored();
}

static void take_frame(struct page *page)
{
	if (!test_and_set_bit(page_to_pfn(page) % FRAMES, frames))
		atomic_inc(&frames_live);
}

static void count_request(gfp_t gfp, bool many)
{
	gfp_t effective = effective_flags(gfp);

	seen.pages++;
	alloc_watch_progress++;
	seen.pages_fs += !!(effective & __GFP_FS);
	seen.pages_io += !!(effective & __GFP_IO);
	seen.insisted += many && gfp & __GFP_NOFAIL;
}

static void page_alloc(void *unused, struct page *page, unsigned int order, gfp_t gfp, int type)
{
	gfp_t effective = effective_flags(gfp);
	bool own = gfp & __GFP_HIGHMEM; /* slab and page tables do without */
	unsigned int i;

	if (!is_watched())
		return;
	count_request(gfp, own && order);
	seen.large += own && order;
	for (i = 0; own && page && i < 1U << order; i++)
		take_frame(page + i);
	if (!page || !is_page_table(order, gfp))
		return;
	seen.tables++;
	seen.tables_fs += !!(effective & __GFP_FS);
	seen.tables_io += !!(effective & __GFP_IO);
}

/*
 * Whoever frees it, and whenever: vmalloc memory may be freed by another task than it was allocated
 * by, after the call (since 6.19 a work item cleans up after one that failed).
 */
static void page_free(void *unused, struct page *page, unsigned int order)
{
	unsigned int i;

	if (!atomic_read(&frames_live))
		return;
	for (i = 0; i < 1U << order; i++) {
		if (test_and_clear_bit((page_to_pfn(page) + i) % FRAMES, frames))
			atomic_dec(&frames_live);
	}
}

/* The arguments after the pointer differ between kernels; none of them is needed. */
static void object_alloc(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!is_watched() || !object)
		return;
	seen.kmallocs++;
	for (i = 0; i < OBJECTS; i++) {
		if (objects[i])
			continue;
		WRITE_ONCE(objects[i], object);
		atomic_inc(&objects_live);
		return;
	}
	seen.missed++;
}

static void object_free(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!object || !atomic_read(&objects_live))
		return;
	for (i = 0; i < OBJECTS; i++) {
		if (cmpxchg(&objects[i], object, NULL) == object)
			atomic_dec(&objects_live);
	}
}

static void reclaim(void *unused)
{
	if (current == READ_ONCE(watched))
		alloc_watch_progress++;
}

/*
 * Since 5.13 vmalloc takes single pages in bulk, which passes no tracepoint: one request each, as
 * seen from the entry of the function, and pages as seen from its return. (A breakpoint of x86
 * counts as NMI, so in_task() is of no use here; interrupts take no pages in bulk.)
 */
static int bulk_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct page ***array = (struct page ***)instance->data;

	if (current != READ_ONCE(watched) || current->flags & PF_MEMALLOC ||
	    tracked_task_is_ignored())
		return 1; /* its return is of no interest */
	count_request((__force gfp_t)*probe_argument(regs, 0), !HARNESS_BULK_MAY_INSIST);
	*array = (struct page **)*probe_argument(regs, HARNESS_BULK_ARRAY);
	return 0;
}

static int bulk_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct page **array = *(struct page ***)instance->data;
	unsigned long i, count = regs_return_value(regs);

	for (i = 0; array && i < count; i++) {
		if (array[i])
			take_frame(array[i]);
	}
	return 0;
}

static struct kretprobe bulk_probe = {
	.entry_handler = bulk_entry,
	.handler = bulk_return,
	.data_size = sizeof(struct page **),
};

static struct hook hooks[] = {
	{ .name = "mm_page_alloc", .probe = page_alloc },
	{ .name = "mm_page_free", .probe = page_free },
	{ .name = "kmalloc", .probe = object_alloc },
	/* Merged into kmalloc in 6.1. */
	{ .name = "kmalloc_node", .probe = object_alloc, .optional = true },
	{ .name = "kfree", .probe = object_free },
	{ .name = "mm_vmscan_direct_reclaim_begin", .probe = reclaim },
	{ .name = "mm_vmscan_direct_reclaim_end", .probe = reclaim },
};

void alloc_watch_close(void)
{
	alloc_watch_suspend();
	hooks_detach(hooks, ARRAY_SIZE(hooks));
	return_probe_remove(&bulk_probe);
	ignored_allocs_close();
	vfree(frames);
	frames = NULL;
}

int alloc_watch_open(void)
{
	/* They got their suffix with allocation profiling, in 6.10. */
	static const char *const bulk[] = { "alloc_pages_bulk_noprof", "__alloc_pages_bulk" };
	int error;

	frames = vzalloc(BITS_TO_LONGS(FRAMES) * sizeof(long));
	if (!frames)
		return -ENOMEM;
	error = ignored_allocs_open();
	/* Not in every kernel. */
	error = error ?: return_probe(&bulk_probe, bulk, ARRAY_SIZE(bulk));
	if (!error || error == -ENOENT)
		error = hooks_attach(hooks, ARRAY_SIZE(hooks));
	if (error)
		alloc_watch_close();
	return error;
}

void alloc_watch_suspend(void)
{
	WRITE_ONCE(watched, NULL);
}

void alloc_watch_resume(void)
{
	WRITE_ONCE(watched, current);
}

void alloc_watch_begin(void)
{
	alloc_watch_suspend();
	memset(&seen, 0, sizeof(seen));
	memset(objects, 0, sizeof(objects));
	atomic_set(&objects_live, 0);
	if (atomic_read(&frames_live))
		bitmap_zero(frames, FRAMES);
	atomic_set(&frames_live, 0);
	alloc_watch_resume();
}

struct alloc_watch alloc_watch_seen(void)
{
	return seen;
}

unsigned int alloc_watch_objects_left(void)
{
	unsigned int left = seen.missed;
	int i;

	for (i = 0; i < OBJECTS; i++)
		left += !!READ_ONCE(objects[i]);
	return left;
}

unsigned int alloc_watch_pages_left(void)
{
	return atomic_read(&frames_live);
}
