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
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/prandom.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

#define ORDER 3
#define BLOCK (1U << ORDER)
#define PERIOD_MS 100
#define GIVE_PAGES 64 /* at a time */
#define LEAVE_MS 200
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
static DEFINE_SPINLOCK(lock); /* pages, held */
static unsigned long leave_until; /* jiffies */
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
	spin_lock(&lock);
	list_add(&block[kept].lru, &pages);
	held++;
	spin_unlock(&lock);
	return true;
}

static unsigned long give(unsigned long count)
{
	unsigned long gone = 0;
	struct page *page;

	while (gone < count) {
		spin_lock(&lock);
		page = list_first_entry_or_null(&pages, struct page, lru);
		if (page) {
			list_del(&page->lru);
			held--;
		}
		spin_unlock(&lock);
		if (!page)
			break;
		__free_page(page);
		gone++;
	}
	return gone;
}

static int out_of_memory_soon(struct notifier_block *unused, unsigned long nothing, void *freed)
{
	WRITE_ONCE(leave_until, jiffies + msecs_to_jiffies(LEAVE_MS));
	*(unsigned long *)freed += give(GIVE_PAGES);
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = out_of_memory_soon };

static bool left_alone(void)
{
	return time_before(jiffies, READ_ONCE(leave_until));
}

/* Break up free blocks, without reclaim, until @most pages are held, of one block each. */
static void break_free(unsigned long most)
{
	while (held < most && !left_alone() && break_block(QUIET))
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
		if (held < most && !left_alone())
			break_block(GFP_KERNEL | QUIET);
		schedule_timeout_interruptible(msecs_to_jiffies(PERIOD_MS));
	}
	return 0;
}

static int __init fragment_init(void)
{
	unsigned long all;
	int error;

	if (!intensity || intensity > 100)
		return -EINVAL;
	prandom_seed_state(&which, seed);
	leave_until = jiffies;
	error = register_oom_notifier(&notifier);
	if (error)
		return error;
	all = all_blocks();
	if (!ramp_ms && !after_ms)
		break_free(allowed(all, jiffies));
	thread = kthread_run(work, (void *)all, "fragment");
	if (IS_ERR(thread)) {
		unregister_oom_notifier(&notifier);
		give(ULONG_MAX);
		return PTR_ERR(thread);
	}
	return 0;
}

static void __exit fragment_exit(void)
{
	kthread_stop(thread);
	unregister_oom_notifier(&notifier);
	give(ULONG_MAX);
}

module_init(fragment_init);
module_exit(fragment_exit);
MODULE_DESCRIPTION("Leaves free memory in small pieces only");
MODULE_LICENSE("GPL");
