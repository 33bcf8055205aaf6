// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mmzone.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <harness/measure.h>
#include <harness/oom_victims.h>
#include <harness/pinned_pages.h>
#include <harness/progress.h>
#include <harness/timed_call.h>

#include "oom_callers.h"

#define FUSES 4	       /* OOM victims that are only there lest the OOM killer find nobody */
#define NULLS_ENOUGH 8 /* of one kind: more say nothing new */

/* ---- kinds of requests */

static void *by_kmalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

static void *by_vmalloc(size_t size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

const struct way ways[WAYS] = {
	{ "page", by_kmalloc, PAGE_SIZE, true },
	{ "vmalloc", by_vmalloc, 16 * PAGE_SIZE, true },
	/* The largest that kmalloc tries again and again for is 8 pages. */
	{ "block", by_kmalloc, 32 * PAGE_SIZE, false },
};

const struct mask masks[MASKS] = {
	{ "GFP_KERNEL", GFP_KERNEL },
	{ "GFP_NOFS", GFP_NOFS },
	{ "GFP_NOIO", GFP_NOIO },
	{ "GFP_KERNEL|__GFP_RETRY_MAYFAIL", GFP_KERNEL | __GFP_RETRY_MAYFAIL },
	{ "GFP_KERNEL|__GFP_NOFAIL", GFP_KERNEL | __GFP_NOFAIL },
	{ "GFP_NOFS|__GFP_NOFAIL", GFP_NOFS | __GFP_NOFAIL },
};

/* ---- memory that runs out */

/* Without NUMA: one node. */
unsigned long reserve_pages(void)
{
	struct zone *zones = NODE_DATA(first_online_node)->node_zones, *zone;
	unsigned long pages = 0;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (populated_zone(zone))
			pages += zone->_watermark[WMARK_MIN];
	}
	return pages;
}

unsigned long victim_pages(void)
{
	return min(totalram_pages() / 32, 4 * reserve_pages());
}

/* Far below the watermarks, an OOM victim's included. The reserve grows by the root of RAM only. */
static unsigned long next_to_nothing(void)
{
	return min(totalram_pages() / 512, reserve_pages() / 8);
}

bool few_left(void)
{
	return oom_victims_left() < FUSES;
}

void run_out(void)
{
	if (timed_call_is_stuck())
		return; /* the case is over, and what was held has been given back */
	if (few_left())
		pinned_pages_give_all();
	else
		pinned_pages_take(global_zone_page_state(NR_FREE_PAGES), next_to_nothing(),
				  __GFP_MEMALLOC);
}

/* ---- a row of requests of one kind */

void request_over(struct state *state, ktime_t begun)
{
	progress_done_since(begun);
	WRITE_ONCE(state->moves, state->moves + 1);
}

static void let_go(struct got *got)
{
	while (got) {
		struct got *next = got->next;

		kvfree(got);
		got = next;
	}
}

struct row *row_now(struct state *state)
{
	return &state->rows[state->way - ways][state->mask - masks];
}

void make_row(struct state *state)
{
	unsigned long want = victim_pages() / 2 * PAGE_SIZE, have = 0;
	const struct way *way = state->way;
	struct row *row = row_now(state);
	struct got *all = NULL;

	while (have < want && row->nulls < NULLS_ENOUGH) {
		struct got *got;
		ktime_t begun;

		if (few_left())
			pinned_pages_give_all();
		begun = ktime_get();
		got = way->alloc(way->size, state->mask->gfp | __GFP_NOWARN);
		row->longest = max_t(u64, row->longest, ktime_to_ns(ktime_sub(ktime_get(), begun)));
		request_over(state, begun);
		row->requests++;
		row->nulls += !got;
		if (!got)
			continue;
		got->next = all;
		all = got;
		have += way->size;
	}
	let_go(all);
}

void report_rows(struct kunit *test, const struct way *way)
{
	const struct state *state = test->priv;
	const struct row *row = state->rows[way - ways];
	char name[80], unit[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		if (!row[i].requests)
			continue;
		scnprintf(name, sizeof(name), "%s:%s:null", way->name, masks[i].name);
		scnprintf(unit, sizeof(unit), "of %u requests", row[i].requests);
		measure(test, name, row[i].nulls, unit);
		scnprintf(name, sizeof(name), "%s:%s:longest", way->name, masks[i].name);
		measure(test, name, div_u64(row[i].longest, 1000), "us");
	}
}
