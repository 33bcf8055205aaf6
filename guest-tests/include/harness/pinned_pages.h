/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that the module itself keeps, so that nobody else has them. Any task may take and give. The
 * kernel neither reclaims them nor moves them out of the way of compaction.
 */
#ifndef HARNESS_PINNED_PAGES_H
#define HARNESS_PINNED_PAGES_H

#include <linux/gfp.h>

/**
 * pinned_pages_take() - take free pages, without reclaim and without the OOM killer
 * @count: how many at most
 * @leave: how many have to be free afterwards
 * @reserves: __GFP_MEMALLOC: from the reserves below the watermark as well; or 0
 */
void pinned_pages_take(unsigned long count, unsigned long leave, gfp_t reserves);

/**
 * pinned_pages_give() - give pages back
 * @count: how many at most
 */
void pinned_pages_give(unsigned long count);

/**
 * pinned_pages_give_all() - give back all that was taken
 */
void pinned_pages_give_all(void);

/**
 * pinned_pages_fragment() - leave physical memory as it is after a long time of use
 *
 * Half of it is free, in pages of which no two lie side by side: all that is free is taken, but for
 * the reserve below the watermark, and every other page given back.
 */
void pinned_pages_fragment(void);

#endif
