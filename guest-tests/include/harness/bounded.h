/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Run a function in a kernel thread and wait for it for a bounded time.
 *
 * A call that must not fail may, in a broken kernel, never return. The case then ends with a
 * failure and the rest of the suite with another; waiting for KUnit's own limit of five minutes
 * would cost the whole run of the guest. The thread is lost, and the module stays loaded for it.
 */
#ifndef HARNESS_BOUNDED_H
#define HARNESS_BOUNDED_H

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include <harness/compat.h>

#define BOUNDED_SECONDS 20

static struct kthread_worker *bounded_worker;
static struct kthread_work bounded_work;
static void (*bounded_function)(void);
static DECLARE_COMPLETION(bounded_done);
static bool bounded_stuck;

static void bounded_call(struct kthread_work *work)
{
	bounded_function();
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
 * Returns 0, or -ETIMEDOUT if @function is still running, now or in an earlier call. Everything
 * that it touches must then stay as it is.
 */
static __maybe_unused int bounded_run(void (*function)(void))
{
	if (bounded_stuck)
		return -ETIMEDOUT;
	bounded_function = function;
	reinit_completion(&bounded_done);
	kthread_init_work(&bounded_work, bounded_call);
	kthread_queue_work(bounded_worker, &bounded_work);
	if (wait_for_completion_timeout(&bounded_done, BOUNDED_SECONDS * HZ))
		return 0;
	bounded_stuck = true;
	__module_get(THIS_MODULE);
	return -ETIMEDOUT;
}

#endif
