// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets the OOM killer take one task, without making memory short: `victim` is the name of the task
 * that it is to prefer, and with `program` there is one of the test's own as well.
 */
#include <harness/compat.h>
#include <linux/delay.h>
#include <linux/kmod.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>

#include <harness/symbol.h>

static char *victim = "";
module_param(victim, charp, 0);
static bool program;
module_param(program, bool, 0);

static bool (*ask)(struct oom_control *control);

/* Make all tasks called @name the first to be taken, and ordinary ones of those that were it. */
static void prefer(const char *name)
{
	struct task_struct *task;

	rcu_read_lock();
	for_each_process(task) {
		if (!strcmp(task->comm, name))
			task->signal->oom_score_adj = OOM_SCORE_ADJ_MAX;
		else if (task->signal->oom_score_adj > 0)
			task->signal->oom_score_adj = 0;
	}
	rcu_read_unlock();
}

static void takes_one(struct kunit *test)
{
	static char *argv[] = { "/bin/busybox", "sleep", "1000", NULL };
	static char *envp[] = { NULL };
	struct oom_control control = { .gfp_mask = GFP_KERNEL };

	if (program) {
		KUNIT_ASSERT_EQ(test, call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC), 0);
		msleep(200); /* until it holds some memory */
	}
	if (*victim)
		prefer(victim);
	KUNIT_EXPECT_TRUE(test, ask(&control));
	/* Until it is gone: what of it is in the log belongs to this case. */
	msleep(200);
}

static struct kunit_case oom_cases[] = { KUNIT_CASE(takes_one), {} };

static int oom_open(void)
{
	ask = (void *)symbol_address("out_of_memory");
	return ask ? 0 : -ENOENT;
}

static void oom_close(void)
{
}

#define oom_NAME "oom"
HARNESS_SUITE(oom, oom_open, oom_close);
MODULE_LICENSE("GPL");
