/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What loads of the kernel's own have alike: parameters, pages that are held, and a thread. When
 * the kernel is about to kill for memory some pages are given back instead, and left alone for a
 * while: a load starves nobody to death.
 *
 *	hoard_open(give)	from module_init, before the first hoard_keep()
 *	hoard_close()		gives all back
 */
#ifndef HARNESS_HOARD_H
#define HARNESS_HOARD_H

#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/spinlock.h>

#define HOARD_LEAVE_MS 200

static uint seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "of what is random, where something is");

static uint ramp_ms;
module_param(ramp_ms, uint, 0444);
MODULE_PARM_DESC(ramp_ms, "until all of it is there");

static uint after_ms;
module_param(after_ms, uint, 0444);
MODULE_PARM_DESC(after_ms, "before it begins");

static ulong held;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages that it holds now");

static ulong given;
module_param(given, ulong, 0444);
MODULE_PARM_DESC(given, "times that it gave pages back");

static LIST_HEAD(hoard_pages);
static DEFINE_SPINLOCK(hoard_lock);	/* hoard_pages, held */
static unsigned long hoard_leave_until; /* jiffies */
static unsigned long hoard_portion;	/* pages to give at a time */
static struct task_struct *hoard_thread;

static void hoard_keep(struct page *page)
{
	spin_lock(&hoard_lock);
	list_add(&page->lru, &hoard_pages);
	held++;
	spin_unlock(&hoard_lock);
}

static unsigned long hoard_give(unsigned long count)
{
	unsigned long gone;

	for (gone = 0; gone < count; gone++) {
		struct page *page;

		spin_lock(&hoard_lock);
		page = list_first_entry_or_null(&hoard_pages, struct page, lru);
		if (page) {
			list_del(&page->lru);
			held--;
		}
		spin_unlock(&hoard_lock);
		if (!page)
			break;
		__free_page(page);
	}
	return gone;
}

static bool hoard_left_alone(void)
{
	return time_before(jiffies, READ_ONCE(hoard_leave_until));
}

static int hoard_out_of_memory_soon(struct notifier_block *unused, unsigned long nothing,
				    void *freed)
{
	WRITE_ONCE(hoard_leave_until, jiffies + msecs_to_jiffies(HOARD_LEAVE_MS));
	*(unsigned long *)freed += hoard_give(hoard_portion);
	WRITE_ONCE(given, given + 1);
	return NOTIFY_OK;
}

static struct notifier_block hoard_notifier = { .notifier_call = hoard_out_of_memory_soon };

static int hoard_open(unsigned long portion)
{
	hoard_leave_until = jiffies;
	hoard_portion = portion;
	return register_oom_notifier(&hoard_notifier);
}

static void hoard_close(void)
{
	if (!IS_ERR_OR_NULL(hoard_thread))
		kthread_stop(hoard_thread);
	unregister_oom_notifier(&hoard_notifier);
	hoard_give(ULONG_MAX);
}

/* A thread that runs @work; without one there is no hoard. */
static int hoard_start(int (*work)(void *), void *what, const char *name)
{
	hoard_thread = kthread_create(work, what, "%s", name);
	if (!IS_ERR(hoard_thread))
		return 0;
	hoard_close();
	return PTR_ERR(hoard_thread);
}

#endif
