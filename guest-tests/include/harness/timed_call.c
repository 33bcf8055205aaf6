// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include <harness/compat.h>
#include <harness/timed_call.h>

#define QUIET_SECONDS 10
#define SECONDS 60

static struct kthread_worker *worker;
static struct kthread_work work;
static struct timed_call running;
static DECLARE_COMPLETION(returned);
static bool stuck;

static void run_function(struct kthread_work *unused)
{
	running.function(running.data);
	complete(&returned);
}

int timed_call_open(void)
{
	worker = harness_worker("harness");
	return PTR_ERR_OR_ZERO(worker);
}

void timed_call_close(void)
{
	if (!stuck)
		kthread_destroy_worker(worker);
}

bool timed_call_is_stuck(void)
{
	return READ_ONCE(stuck);
}

int timed_call_run(const struct timed_call *call)
{
	unsigned int quiet_seconds = call->quiet_seconds ?: QUIET_SECONDS;
	unsigned int seconds = call->seconds ?: SECONDS;
	unsigned int polls, quiet = 0, before = 0;

	if (stuck)
		return -ETIMEDOUT;
	running = *call;
	reinit_completion(&returned);
	kthread_init_work(&work, run_function);
	kthread_queue_work(worker, &work);
	for (polls = 0; polls < seconds * TIMED_CALL_POLLS_PER_SECOND; polls++) {
		if (wait_for_completion_timeout(&returned, HZ / TIMED_CALL_POLLS_PER_SECOND))
			return 0;
		if (call->meanwhile)
			call->meanwhile(call->data);
		quiet = READ_ONCE(*call->progress) == before ? quiet + 1 : 0;
		before = READ_ONCE(*call->progress);
		if (quiet > quiet_seconds * TIMED_CALL_POLLS_PER_SECOND ||
		    (call->is_stuck && call->is_stuck(call->data)))
			break;
	}
	WRITE_ONCE(stuck, true);
	__module_get(THIS_MODULE);
	return -ETIMEDOUT;
}
