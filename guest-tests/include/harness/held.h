/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that the module itself holds, so that nobody else has them. Any task may take and give. */
#ifndef HARNESS_HELD_H
#define HARNESS_HELD_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

/* A page that is held holds the address of the next one. */
struct held_page {
	struct held_page *next;
};

static struct held_page *held_pages;
static DEFINE_SPINLOCK(held_lock);

static void held_push(struct held_page *page)
{
	spin_lock(&held_lock);
	page->next = held_pages;
	held_pages = page;
	spin_unlock(&held_lock);
}

static struct held_page *held_pop(void)
{
	struct held_page *page;

	spin_lock(&held_lock);
	page = held_pages;
	if (page)
		held_pages = page->next;
	spin_unlock(&held_lock);
	return page;
}

/*
 * Take free pages, at most @count, until @leave are left or, without the right to the reserves
 * below the watermark (__GFP_MEMALLOC), no more are to be had. It neither reclaims nor calls the
 * OOM killer.
 */
static __maybe_unused void held_take_some(unsigned long count, unsigned long leave, gfp_t reserves)
{
	struct held_page *page;

	while (count-- && global_zone_page_state(NR_FREE_PAGES) > leave) {
		page = (void *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN | reserves);
		if (!page)
			break;
		held_push(page);
		cond_resched();
	}
}

static __maybe_unused void held_take(unsigned long leave, gfp_t reserves)
{
	held_take_some(ULONG_MAX, leave, reserves);
}

/* Give back @count pages. */
static __maybe_unused void held_give(unsigned long count)
{
	struct held_page *page;

	while (count-- && (page = held_pop())) {
		free_page((unsigned long)page);
		cond_resched();
	}
}

static __maybe_unused void held_give_all(void)
{
	held_give(ULONG_MAX);
}

/*
 * Physical memory as it is after a long time of use: free pages, and no two side by side. All that
 * is free is taken, but for the reserve below the watermark, and every other page given back. What
 * is kept is the kernel's own, so that compaction cannot move it out of the way.
 */
static __maybe_unused void held_fragment(void)
{
	struct held_page *page, *next, *kept = NULL;

	held_take(0, 0);
	while ((page = held_pop())) {
		if (page_to_pfn(virt_to_page(page)) & 1) {
			free_page((unsigned long)page);
		} else {
			page->next = kept;
			kept = page;
		}
		cond_resched();
	}
	for (page = kept; page; page = next) {
		next = page->next;
		held_push(page);
	}
}

#endif
