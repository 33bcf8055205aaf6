/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watch what one task allocates: every request to the page allocator with the flags that really
 * hold for it, and the kmalloc objects that it has not freed.
 *
 * One watch at a time. What the task allocates while it reclaims (PF_MEMALLOC) is not part of the
 * work it was asked for, and is left out; so are interrupts that happen to hit it.
 */
#ifndef HARNESS_WATCH_H
#define HARNESS_WATCH_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include <harness/symbol.h>

#define WATCH_OBJECTS 64

struct watch {
	unsigned int pages;	/* requests to the page allocator */
	unsigned int pages_fs;	/* of these: could have entered filesystem reclaim */
	unsigned int pages_io;	/* could have started I/O */
	unsigned int tables;	/* page-table pages */
	unsigned int tables_fs;
	unsigned int tables_io;
	unsigned int missed;	/* kmalloc objects that found no room in the list */
	const void *objects[WATCH_OBJECTS]; /* allocated and not freed yet */
};

static struct watch watch;
static struct task_struct *watch_task;

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
	return current == READ_ONCE(watch_task) && in_task() && !(current->flags & PF_MEMALLOC);
}

/*
 * Page tables are the only single pages that are asked for zeroed without __GFP_HIGHMEM here:
 * vmalloc adds that flag for its pages, and slab takes __GFP_ZERO away before it asks for a slab.
 */
static bool watch_is_table(unsigned int order, gfp_t gfp)
{
	return !order && (gfp & __GFP_ZERO) && !(gfp & __GFP_HIGHMEM);
}

static void watch_page(void *unused, struct page *page, unsigned int order, gfp_t gfp, int type)
{
	gfp_t effective = watch_effective(gfp);

	if (!watch_on())
		return;
	watch.pages++;
	watch.pages_fs += !!(effective & __GFP_FS);
	watch.pages_io += !!(effective & __GFP_IO);
	if (!page || !watch_is_table(order, gfp))
		return;
	watch.tables++;
	watch.tables_fs += !!(effective & __GFP_FS);
	watch.tables_io += !!(effective & __GFP_IO);
}

/* The arguments after the pointer differ between kernels; none of them is needed. */
static void watch_kmalloc(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!watch_on() || !object)
		return;
	for (i = 0; i < WATCH_OBJECTS; i++) {
		if (watch.objects[i])
			continue;
		WRITE_ONCE(watch.objects[i], object);
		return;
	}
	watch.missed++;
}

/* Whoever frees it: vmalloc memory may be freed by another task than it was allocated by. */
static void watch_kfree(void *unused, unsigned long caller, const void *object)
{
	int i;

	if (!object || !READ_ONCE(watch_task))
		return;
	for (i = 0; i < WATCH_OBJECTS; i++) {
		if (READ_ONCE(watch.objects[i]) == object)
			WRITE_ONCE(watch.objects[i], NULL);
	}
}

/*
 * Since 5.13 vmalloc takes single pages in bulk, which passes no tracepoint: one request each, as
 * seen from the entry of the function. (A breakpoint of x86 counts as NMI, so in_task() is of no
 * use here; interrupts take no pages in bulk.)
 */
static int watch_bulk(struct kprobe *probe, struct pt_regs *regs)
{
	gfp_t effective = watch_effective((__force gfp_t)regs_get_kernel_argument(regs, 0));

	if (current != READ_ONCE(watch_task) || current->flags & PF_MEMALLOC)
		return 0;
	watch.pages++;
	watch.pages_fs += !!(effective & __GFP_FS);
	watch.pages_io += !!(effective & __GFP_IO);
	return 0;
}

static struct kprobe watch_bulk_probe;

static struct hook watch_hooks[] = {
	{ .name = "mm_page_alloc", .probe = watch_page },
	{ .name = "kmalloc", .probe = watch_kmalloc },
	/* Merged into kmalloc in 6.1. */
	{ .name = "kmalloc_node", .probe = watch_kmalloc, .optional = true },
	{ .name = "kfree", .probe = watch_kfree },
};

static __maybe_unused int watch_open(void)
{
	/* It got its suffix with allocation profiling, in 6.10. */
	static const char *const names[] = { "alloc_pages_bulk_noprof", "__alloc_pages_bulk" };
	int error = probe_function(&watch_bulk_probe, names, ARRAY_SIZE(names), watch_bulk);

	if (error && error != -ENOENT)
		return error;
	error = hooks_attach(watch_hooks, ARRAY_SIZE(watch_hooks));
	if (error)
		probe_remove(&watch_bulk_probe);
	return error;
}

static __maybe_unused void watch_close(void)
{
	WRITE_ONCE(watch_task, NULL);
	hooks_detach(watch_hooks, ARRAY_SIZE(watch_hooks));
	probe_remove(&watch_bulk_probe);
}

/* Start to watch current, from nothing. */
static __maybe_unused void watch_begin(void)
{
	WRITE_ONCE(watch_task, NULL);
	memset(&watch, 0, sizeof(watch));
	WRITE_ONCE(watch_task, current);
}

/* Objects that were allocated under the watch and not freed by anybody since. */
static __maybe_unused unsigned int watch_objects_left(void)
{
	unsigned int left = watch.missed;
	int i;

	for (i = 0; i < WATCH_OBJECTS; i++)
		left += !!READ_ONCE(watch.objects[i]);
	return left;
}

#endif
