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
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmstat.h>

#include <harness/balloon.h>

#define GIVE_PAGES 512 /* at a time */
#define TAKE (__GFP_HIGH | __GFP_MEMALLOC | __GFP_NOWARN)

static unsigned long intensity = 256;
module_param(intensity, ulong, 0444);
MODULE_PARM_DESC(intensity, "free pages to leave");

static ulong reached;
module_param(reached, ulong, 0444);
MODULE_PARM_DESC(reached, "times that it found as many pages free as it is to leave, or an eighth more or less");

static unsigned long now_free(void)
{
	return global_zone_page_state(NR_FREE_PAGES);
}

/* Take pages until @leave are free, or there are none, or somebody else needs them more. */
static void take(unsigned long leave)
{
	struct page *page;

	while (now_free() > leave && !balloon_is_left_alone()) {
		page = alloc_page(TAKE);
		if (!page)
			break;
		balloon_keep(page);
		cond_resched();
	}
}

/* How many pages may be free now, of @all at the beginning. */
static unsigned long allowed(unsigned long all, unsigned long begun)
{
	unsigned long passed = jiffies_to_msecs(jiffies - begun);

	if (passed >= balloon_ramp_ms || all <= intensity)
		return intensity;
	return all - (all - intensity) / 1000 * (1000 * passed / balloon_ramp_ms);
}

/* The count of free pages is kept by CPU, and is not exact. */
static bool is_reached(unsigned long pages)
{
	return pages >= intensity - intensity / 8 && pages <= intensity + intensity / 8;
}

static int work(void *unused)
{
	unsigned long all, begun;

	if (balloon_after_ms)
		schedule_timeout_interruptible(msecs_to_jiffies(balloon_after_ms));
	all = now_free();
	begun = jiffies;
	while (!kthread_should_stop()) {
		take(allowed(all, begun));
		if (is_reached(now_free()))
			WRITE_ONCE(reached, reached + 1);
		usleep_range(500, 1000);
	}
	return 0;
}

static int __init hog_init(void)
{
	int error = balloon_open(GIVE_PAGES);
	struct task_struct *thread;

	if (error)
		return error;
	if (!balloon_ramp_ms && !balloon_after_ms)
		take(intensity);
	thread = balloon_start(work, NULL, "hog");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	/* Before those who would use what has become free. */
	sched_set_fifo(thread);
	wake_up_process(thread);
	return 0;
}

static void __exit hog_exit(void)
{
	balloon_close();
}

module_init(hog_init);
module_exit(hog_exit);
MODULE_DESCRIPTION("Leaves a chosen number of free pages");
MODULE_LICENSE("GPL");
