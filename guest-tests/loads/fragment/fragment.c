// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: memory that is free in small pieces only. Of every free block of eight pages the kernel
 * keeps one, which compaction cannot move, and gives back seven: most of memory stays free, but no
 * eight pages side by side. New blocks are broken as they form.
 *
 * Its own request for a block, ten times a second, shows what any other runs into: the page
 * allocator has to compact, and in vain.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

#define ORDER 3
#define BLOCK (1U << ORDER)
#define PERIOD_MS 100
#define QUIET (__GFP_NOWARN | __GFP_NORETRY)

static uint intensity = 100;
module_param(intensity, uint, 0444);
MODULE_PARM_DESC(intensity, "percent of the free memory to break up");

static uint seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "decides which page of a block is kept");

static uint ramp_ms;
module_param(ramp_ms, uint, 0444);
MODULE_PARM_DESC(ramp_ms, "until all is broken");

static uint after_ms;
module_param(after_ms, uint, 0444);
MODULE_PARM_DESC(after_ms, "before it begins");

static ulong held;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages that it holds now");

static LIST_HEAD(pages);
static struct task_struct *thread;
static struct rnd_state which;

/* Break up a block that @gfp gets; false if it gets none. */
static bool break_block(gfp_t gfp)
{
	struct page *block = alloc_pages(gfp, ORDER);
	u32 kept = prandom_u32_state(&which) % BLOCK;
	unsigned int i;

	if (!block)
		return false;
	split_page(block, ORDER);
	for (i = 0; i < BLOCK; i++) {
		if (i != kept)
			__free_page(block + i);
	}
	list_add(&block[kept].lru, &pages);
	held++;
	return true;
}

/* Break up free blocks, without reclaim, until @most pages are held, of one block each. */
static void break_free(unsigned long most)
{
	while (held < most && break_block(QUIET))
		cond_resched();
}

/* How many blocks may be broken now, of @all. */
static unsigned long allowed(unsigned long all, unsigned long begun)
{
	unsigned long passed = jiffies_to_msecs(jiffies - begun);

	/* All of them: blocks that form later as well. */
	if (passed >= ramp_ms)
		return intensity >= 100 ? ULONG_MAX : all;
	return all * passed / ramp_ms;
}

static unsigned long all_blocks(void)
{
	return global_zone_page_state(NR_FREE_PAGES) / BLOCK * intensity / 100;
}

static int work(void *given)
{
	unsigned long all = (unsigned long)given, begun;

	if (after_ms)
		schedule_timeout_interruptible(msecs_to_jiffies(after_ms));
	begun = jiffies;
	while (!kthread_should_stop()) {
		unsigned long most = allowed(all, begun);

		break_free(most);
		if (held < most)
			break_block(GFP_KERNEL | QUIET);
		schedule_timeout_interruptible(msecs_to_jiffies(PERIOD_MS));
	}
	return 0;
}

static void give_all(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pages, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static int __init fragment_init(void)
{
	unsigned long all;

	if (!intensity || intensity > 100)
		return -EINVAL;
	prandom_seed_state(&which, seed);
	all = all_blocks();
	if (!ramp_ms && !after_ms)
		break_free(allowed(all, jiffies));
	thread = kthread_run(work, (void *)all, "fragment");
	if (IS_ERR(thread)) {
		give_all();
		return PTR_ERR(thread);
	}
	return 0;
}

static void __exit fragment_exit(void)
{
	kthread_stop(thread);
	give_all();
}

module_init(fragment_init);
module_exit(fragment_exit);
MODULE_DESCRIPTION("Leaves free memory in small pieces only");
MODULE_LICENSE("GPL");
