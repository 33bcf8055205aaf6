/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that the module itself holds, so that nobody else has them. */
#ifndef HARNESS_HELD_H
#define HARNESS_HELD_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

/* A page that is held holds the address of the next one. */
struct held_page {
	struct held_page *next;
};

static struct held_page *held_pages;
static unsigned long held_count;

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
		page->next = held_pages;
		held_pages = page;
		held_count++;
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
	while (count-- && held_pages) {
		struct held_page *page = held_pages;

		held_pages = page->next;
		held_count--;
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
	for (page = held_pages; page; page = next) {
		next = page->next;
		if (page_to_pfn(virt_to_page(page)) & 1) {
			free_page((unsigned long)page);
			held_count--;
		} else {
			page->next = kept;
			kept = page;
		}
		cond_resched();
	}
	held_pages = kept;
}

#endif
