// SPDX-License-Identifier: GPL-2.0-only
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/spinlock.h>

#include <harness/balloon.h>

#define LEAVE_ALONE_MS 200

uint balloon_seed = 1;
module_param_named(seed, balloon_seed, uint, 0444);
MODULE_PARM_DESC(seed, "of what is random, where something is");

uint balloon_ramp_ms;
module_param_named(ramp_ms, balloon_ramp_ms, uint, 0444);
MODULE_PARM_DESC(ramp_ms, "until all of it is there");

uint balloon_after_ms;
module_param_named(after_ms, balloon_after_ms, uint, 0444);
MODULE_PARM_DESC(after_ms, "before it begins");

ulong balloon_held;
module_param_named(held, balloon_held, ulong, 0444);
MODULE_PARM_DESC(held, "pages that it holds now");

static ulong given;
module_param(given, ulong, 0444);
MODULE_PARM_DESC(given, "times that it gave pages back");

static LIST_HEAD(pages);
static DEFINE_SPINLOCK(lock);	  /* pages, balloon_held */
static unsigned long leave_until; /* jiffies */
static unsigned long portion;	  /* pages to give at a time */
static struct task_struct *thread;

void balloon_keep(struct page *page)
{
	spin_lock(&lock);
	list_add(&page->lru, &pages);
	balloon_held++;
	spin_unlock(&lock);
}

static unsigned long give(unsigned long count)
{
	unsigned long gone;

	for (gone = 0; gone < count; gone++) {
		struct page *page;

		spin_lock(&lock);
		page = list_first_entry_or_null(&pages, struct page, lru);
		if (page) {
			list_del(&page->lru);
			balloon_held--;
		}
		spin_unlock(&lock);
		if (!page)
			break;
		__free_page(page);
	}
	return gone;
}

bool balloon_is_left_alone(void)
{
	return time_before(jiffies, READ_ONCE(leave_until));
}

static int out_of_memory_soon(struct notifier_block *unused, unsigned long nothing, void *freed)
{
	WRITE_ONCE(leave_until, jiffies + msecs_to_jiffies(LEAVE_ALONE_MS));
	*(unsigned long *)freed += give(portion);
	WRITE_ONCE(given, given + 1);
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = out_of_memory_soon };

int balloon_open(unsigned long give_portion)
{
	leave_until = jiffies;
	portion = give_portion;
	return register_oom_notifier(&notifier);
}

void balloon_close(void)
{
	if (!IS_ERR_OR_NULL(thread))
		kthread_stop(thread);
	unregister_oom_notifier(&notifier);
	give(ULONG_MAX);
}

struct task_struct *balloon_start(int (*work)(void *), void *data, const char *name)
{
	thread = kthread_create(work, data, "%s", name);
	if (IS_ERR(thread))
		balloon_close();
	return thread;
}
