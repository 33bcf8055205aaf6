/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Run a function in a kernel thread and wait for it for as long as it gets on.
 *
 * A call that must not fail may, in a broken kernel, never return. The case then ends with a
 * failure and the rest of the suite with another; waiting for KUnit's own limit of five minutes
 * would cost the whole run of the guest. The thread is lost, and the module stays loaded for it.
 *
 * Under memory pressure a call may well take seconds, with an allocation now and then: that is
 * slow. One that allocates nothing any more is stuck, and so is one that sleeps and tries again
 * far more often than it was failed. (One that tries again without sleeping leaves this thread no
 * CPU to say so, where there is one CPU only. The soft lockup detector ends that; a test with
 * such calls sets the knob kernel.watchdog_thresh low.)
 */
#ifndef HARNESS_BOUNDED_H
#define HARNESS_BOUNDED_H

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include <harness/compat.h>

#define BOUNDED_POLLS_PER_SECOND 50
#define BOUNDED_QUIET_SECONDS 10 /* without a sign of progress */
#define BOUNDED_SECONDS 60	 /* in all: it may go round in circles */

struct bounded {
	void (*function)(void);
	const unsigned int *progress; /* changes whenever it gets on */
	unsigned int quiet_seconds, seconds; /* 0: those above */
	bool (*hopeless)(void);	      /* or NULL; true: it will never return */
	void (*meanwhile)(void);      /* or NULL; called again and again while it runs */
};

static struct kthread_worker *bounded_worker;
static struct kthread_work bounded_work;
static struct bounded bounded_now;
static DECLARE_COMPLETION(bounded_done);
static bool bounded_stuck;

static void bounded_call(struct kthread_work *work)
{
	bounded_now.function();
	complete(&bounded_done);
}

static __maybe_unused int bounded_open(void)
{
	bounded_worker = harness_worker("harness");
	return PTR_ERR_OR_ZERO(bounded_worker);
}

static __maybe_unused void bounded_close(void)
{
	if (!bounded_stuck)
		kthread_destroy_worker(bounded_worker);
}

/*
 * Returns 0, or -ETIMEDOUT if the function is still running, now or in an earlier call. Everything
 * that it touches must then stay as it is.
 */
static __maybe_unused int bounded_run(const struct bounded *bounded)
{
	unsigned int quiet_seconds = bounded->quiet_seconds ?: BOUNDED_QUIET_SECONDS;
	unsigned int seconds = bounded->seconds ?: BOUNDED_SECONDS;
	unsigned int polls, quiet = 0, before = 0;

	if (bounded_stuck)
		return -ETIMEDOUT;
	bounded_now = *bounded;
	reinit_completion(&bounded_done);
	kthread_init_work(&bounded_work, bounded_call);
	kthread_queue_work(bounded_worker, &bounded_work);
	for (polls = 0; polls < seconds * BOUNDED_POLLS_PER_SECOND; polls++) {
		if (wait_for_completion_timeout(&bounded_done, HZ / BOUNDED_POLLS_PER_SECOND))
			return 0;
		if (bounded->meanwhile)
			bounded->meanwhile();
		quiet = READ_ONCE(*bounded->progress) == before ? quiet + 1 : 0;
		before = READ_ONCE(*bounded->progress);
		if (quiet > quiet_seconds * BOUNDED_POLLS_PER_SECOND ||
		    (bounded->hopeless && bounded->hopeless()))
			break;
	}
	WRITE_ONCE(bounded_stuck, true);
	__module_get(THIS_MODULE);
	return -ETIMEDOUT;
}

#endif
