// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: the kernel has no more than a chosen number of free pages. A thread takes all others, with
 * the right to the reserves below the watermarks and without reclaiming, and takes again what
 * reclaim or a program that ends makes free. Below the watermarks kswapd runs, until it has failed
 * 16 times where nothing can be reclaimed, and whoever allocates reclaims for itself.
 *
 * Nobody is starved to death: when the kernel is about to kill for memory, the hog gives some back
 * instead, and leaves it alone for a while.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include <harness/compat.h>

#define GIVE_PAGES 512 /* at a time */
#define LEAVE_MS 200
#define TAKE (__GFP_HIGH | __GFP_MEMALLOC | __GFP_NOWARN)

static unsigned long intensity = 256;
module_param(intensity, ulong, 0444);
MODULE_PARM_DESC(intensity, "free pages to leave");

static uint seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of no effect: nothing here is random");

static uint ramp_ms;
module_param(ramp_ms, uint, 0444);
MODULE_PARM_DESC(ramp_ms, "until all is taken");

static uint after_ms;
module_param(after_ms, uint, 0444);
MODULE_PARM_DESC(after_ms, "before it begins");

static ulong held;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages that it holds now");

static ulong given;
module_param(given, ulong, 0444);
MODULE_PARM_DESC(given, "times that it gave pages back");

static LIST_HEAD(pages);
static DEFINE_SPINLOCK(lock); /* pages, held */
static unsigned long leave_until; /* jiffies */
static struct task_struct *thread;

static unsigned long now_free(void)
{
	return global_zone_page_state(NR_FREE_PAGES);
}

static void keep(struct page *page)
{
	spin_lock(&lock);
	list_add(&page->lru, &pages);
	held++;
	spin_unlock(&lock);
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
	WRITE_ONCE(given, given + 1);
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = out_of_memory_soon };

/* Take pages until @leave are free, or there are none, or somebody else needs them more. */
static void take(unsigned long leave)
{
	struct page *page;

	while (now_free() > leave && time_after_eq(jiffies, READ_ONCE(leave_until))) {
		page = alloc_page(TAKE);
		if (!page)
			break;
		keep(page);
		cond_resched();
	}
}

/* How many pages may be free now, of @all at the beginning. */
static unsigned long allowed(unsigned long all, unsigned long begun)
{
	unsigned long passed = jiffies_to_msecs(jiffies - begun);

	if (passed >= ramp_ms || all <= intensity)
		return intensity;
	return all - (all - intensity) / 1000 * (1000 * passed / ramp_ms);
}

static int work(void *unused)
{
	unsigned long all, begun;

	if (after_ms)
		schedule_timeout_interruptible(msecs_to_jiffies(after_ms));
	all = now_free();
	begun = jiffies;
	while (!kthread_should_stop()) {
		take(allowed(all, begun));
		usleep_range(500, 1000);
	}
	return 0;
}

static int __init hog_init(void)
{
	int error;

	leave_until = jiffies;
	error = register_oom_notifier(&notifier);
	if (error)
		return error;
	if (!ramp_ms && !after_ms)
		take(intensity);
	thread = kthread_create(work, NULL, "hog");
	if (IS_ERR(thread)) {
		unregister_oom_notifier(&notifier);
		give(ULONG_MAX);
		return PTR_ERR(thread);
	}
	/* Before those who would use what has become free. */
	sched_set_fifo(thread);
	wake_up_process(thread);
	return 0;
}

static void __exit hog_exit(void)
{
	kthread_stop(thread);
	unregister_oom_notifier(&notifier);
	give(ULONG_MAX);
}

module_init(hog_init);
module_exit(hog_exit);
MODULE_DESCRIPTION("Leaves a chosen number of free pages");
MODULE_LICENSE("GPL");
