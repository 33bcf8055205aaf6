/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fail the Nth allocation that current makes (fail-nth of the kernel's fault injection).
 *
 * Requests with __GFP_NOFAIL are passed over by the kernel, and by default so are all that may
 * sleep: the test's knobs have to open that up (ignore-gfp-wait, ignore-gfp-highmem, min-order).
 * What current allocates while it reclaims does not count: under a load it would be hit there
 * most of the time, and N would mean something else in each call.
 */
#ifndef HARNESS_INJECT_H
#define HARNESS_INJECT_H

#include <linux/sched.h>

#include <harness/symbol.h>

#ifndef CONFIG_FAULT_INJECTION
#error "the test needs a kernel with fault injection (kconfigs/fault-injection.config)"
#endif

static struct task_struct *inject_task;
static unsigned int inject_paused; /* what is left of N while the task reclaims */

static void inject_reclaim_begin(void *unused)
{
	if (current != READ_ONCE(inject_task))
		return;
	inject_paused = current->fail_nth;
	current->fail_nth = 0;
}

static void inject_reclaim_end(void *unused)
{
	if (current == READ_ONCE(inject_task))
		current->fail_nth = inject_paused;
}

static struct hook inject_hooks[] = {
	{ .name = "mm_vmscan_direct_reclaim_begin", .probe = inject_reclaim_begin },
	{ .name = "mm_vmscan_direct_reclaim_end", .probe = inject_reclaim_end },
};

static __maybe_unused int inject_open(void)
{
	return hooks_attach(inject_hooks, ARRAY_SIZE(inject_hooks));
}

static __maybe_unused void inject_close(void)
{
	hooks_detach(inject_hooks, ARRAY_SIZE(inject_hooks));
}

/* Fail the @nth allocation from here on; 0: none. */
static __maybe_unused void inject_begin(unsigned int nth)
{
	WRITE_ONCE(inject_task, current);
	current->fail_nth = nth;
}

/* Returns whether one has failed since. */
static __maybe_unused bool inject_end(unsigned int nth)
{
	bool fired = nth && !current->fail_nth;

	current->fail_nth = 0;
	WRITE_ONCE(inject_task, NULL);
	return fired;
}

#endif
