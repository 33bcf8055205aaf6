// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seeded ways of not coming to an end, for the harness to tell apart: the parameter "how" says
 * which. One of them, "slow", does come to its end.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#include <harness/compat.h>
#include <harness/progress.h>

static char *how = "slow";
module_param(how, charp, 0400);
static int slow_seconds = 10;
module_param(slow_seconds, int, 0400);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DECLARE_COMPLETION(has_first);
static DECLARE_COMPLETION(has_second);
static DECLARE_COMPLETION(both_done);

/* Asks again and again for more than there is, and never sleeps between two tries. */
static noinline void retry_without_sleep(void)
{
	unsigned long size = 2UL * totalram_pages() * PAGE_SIZE;
	void *memory;

	while (!(memory = __vmalloc(size, GFP_KERNEL | __GFP_NOWARN))) {
		progress_retry();
		cond_resched();
	}
	vfree(memory);
}

static noinline void second_then_first(void)
{
	mutex_lock(&second);
	complete(&has_second);
	wait_for_completion(&has_first);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static int other_task(void *unused)
{
	second_then_first();
	complete(&both_done);
	return 0;
}

static noinline void first_then_second(void)
{
	kthread_run(other_task, NULL, "stuck-other");
	mutex_lock(&first);
	complete(&has_first);
	wait_for_completion(&has_second);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	wait_for_completion(&both_done);
}

static bool never;

static noinline void spin(bool interrupts)
{
	if (!interrupts)
		local_irq_disable();
	while (!READ_ONCE(never))
		cpu_relax();
}

/* Prints nothing, uses little of the processor, and yet gets on. */
static noinline void slow(void)
{
	int i;

	for (i = 0; i < slow_seconds * 10; i++) {
		ktime_t start = ktime_get();

		msleep(100);
		progress_done_since(start);
	}
}

static void before(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, true);
}

static void at_seed(struct kunit *test)
{
	if (!strcmp(how, "livelock"))
		retry_without_sleep();
	else if (!strcmp(how, "deadlock"))
		first_then_second();
	else if (!strcmp(how, "starve"))
		spin(true);
	else if (!strcmp(how, "irqs-off"))
		spin(false);
	else
		slow();
}

static struct kunit_case stuck_cases[] = { KUNIT_CASE(before), KUNIT_CASE(at_seed), {} };
static int stuck_open(void) { return 0; }
static void stuck_close(void) { }

#define stuck_NAME "stuck"
HARNESS_SUITE(stuck, stuck_open, stuck_close);
MODULE_LICENSE("GPL");
