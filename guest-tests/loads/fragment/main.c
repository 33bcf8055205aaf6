// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: memory that is free in small pieces only. Of every free block of eight pages the kernel
 * keeps one, which compaction cannot move, and gives back seven: most of memory stays free, but no
 * eight pages side by side. New blocks are broken as they form.
 *
 * Its own request for a block, ten times a second, shows what any other runs into: the page
 * allocator has to compact, and in vain.
 *
 * Requests up to order 3 never fail: for one of them the kernel would kill, in the end its own
 * init (arm64: /dev/kmsg needs such a block when it is opened). So some blocks are made whole
 * before that, and left alone for a while.
 */
#include <linux/prandom.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmstat.h>

#include <harness/balloon.h>

#define ORDER 3
#define BLOCK (1U << ORDER)
#define PERIOD_MS 100
#define GIVE_PAGES 64 /* at a time */
#define QUIET (__GFP_NOWARN | __GFP_NORETRY)

static uint intensity = 100;
module_param(intensity, uint, 0444);
MODULE_PARM_DESC(intensity, "percent of the free memory to break up");

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
	balloon_keep(block + kept);
	return true;
}

/* Break up free blocks, without reclaim, until @most pages are held, of one block each. */
static void break_free(unsigned long most)
{
	while (balloon_held < most && !balloon_is_left_alone() && break_block(QUIET))
		cond_resched();
}

/* How many blocks may be broken now, of @all. */
static unsigned long allowed(unsigned long all, unsigned long begun)
{
	unsigned long passed = jiffies_to_msecs(jiffies - begun);

	/* All of them: blocks that form later as well. */
	if (passed >= balloon_ramp_ms)
		return intensity >= 100 ? ULONG_MAX : all;
	return all * passed / balloon_ramp_ms;
}

static unsigned long all_blocks(void)
{
	return global_zone_page_state(NR_FREE_PAGES) / BLOCK * intensity / 100;
}

static int work(void *what)
{
	unsigned long all = (unsigned long)what, begun;

	if (balloon_after_ms)
		schedule_timeout_interruptible(msecs_to_jiffies(balloon_after_ms));
	begun = jiffies;
	while (!kthread_should_stop()) {
		unsigned long most = allowed(all, begun);

		break_free(most);
		if (balloon_held < most && !balloon_is_left_alone())
			break_block(GFP_KERNEL | QUIET);
		schedule_timeout_interruptible(msecs_to_jiffies(PERIOD_MS));
	}
	return 0;
}

static int __init fragment_init(void)
{
	struct task_struct *thread;
	unsigned long all;
	int error;

	if (!intensity || intensity > 100)
		return -EINVAL;
	prandom_seed_state(&which, balloon_seed);
	error = balloon_open(GIVE_PAGES);
	if (error)
		return error;
	all = all_blocks();
	if (!balloon_ramp_ms && !balloon_after_ms)
		break_free(allowed(all, jiffies));
	thread = balloon_start(work, (void *)all, "fragment");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	wake_up_process(thread);
	return 0;
}

static void __exit fragment_exit(void)
{
	balloon_close();
}

module_init(fragment_init);
module_exit(fragment_exit);
MODULE_DESCRIPTION("Leaves free memory in small pieces only");
MODULE_LICENSE("GPL");
