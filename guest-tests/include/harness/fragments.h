/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical memory as it is after a long time of use: free pages, and hardly two side by side.
 * All that is free is taken page by page, and every other page given back. What is kept is the
 * kernel's own, so that compaction cannot move it out of the way.
 */
#ifndef HARNESS_FRAGMENTS_H
#define HARNESS_FRAGMENTS_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

/* A page that is kept holds the address of the next one. */
struct fragment {
	struct fragment *next;
};

static struct fragment *fragments;
static unsigned long fragments_count;

static __maybe_unused void fragments_free(void)
{
	struct fragment *page = fragments;

	while (page) {
		struct fragment *next = page->next;

		free_page((unsigned long)page);
		page = next;
		cond_resched();
	}
	fragments = NULL;
	fragments_count = 0;
}

/* Pages that are free are single ones afterwards, but for the reserve below the watermark. */
static __maybe_unused void fragments_make(void)
{
	struct fragment *page, *next, *kept = NULL;

	for (;;) {
		page = (void *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN);
		if (!page)
			break;
		page->next = fragments;
		fragments = page;
		cond_resched();
	}
	for (page = fragments; page; page = next) {
		next = page->next;
		if (page_to_pfn(virt_to_page(page)) & 1) {
			free_page((unsigned long)page);
		} else {
			page->next = kept;
			kept = page;
			fragments_count++;
		}
		cond_resched();
	}
	fragments = kept;
}

#endif
