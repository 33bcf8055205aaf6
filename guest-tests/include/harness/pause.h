/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a subject waits: does it sleep between two tries, how long, and does it say so.
 *
 * A sleep is a call of schedule_timeout() that really can sleep: with a fatal signal pending, one
 * that signals may interrupt comes back at once, and a loop around it spins. To wait without a
 * limit is to wait for an event, as the page allocator does while it reclaims; and no time at all
 * is no sleep. What lies between a refused page table and the next request is vmalloc's own; other
 * sleeps may be the page allocator's, which waits for up to a tenth of a second under pressure.
 */
#ifndef HARNESS_PAUSE_H
#define HARNESS_PAUSE_H

#include <linux/sched/signal.h>

#include <harness/subject.h>
#include <harness/symbol.h>

static int pause_sleep(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();
	unsigned long *timeout = probe_argument(regs, 0);

	if (!subject)
		return 0;
	if (READ_ONCE(subject->parked)) {
		*timeout = MAX_SCHEDULE_TIMEOUT;
		return 0;
	}
	if (*timeout == MAX_SCHEDULE_TIMEOUT || (long)*timeout <= 0)
		return 0;
	if (signal_pending_state(harness_task_state(current), current))
		return 0;
	subject->sleeps++;
	subject->longest = max(subject->longest, *timeout);
	subject->shortest = min(subject->shortest ?: *timeout, *timeout);
	if (subject->owes)
		subject->wait = max(subject->wait, *timeout);
	subject->owes = false;
	return 0;
}

static int pause_warn(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();

	if (subject)
		subject->warned++;
	return 0;
}

static struct kprobe pause_probes[2];

static __maybe_unused void pause_close(void)
{
	probe_remove(&pause_probes[0]);
	probe_remove(&pause_probes[1]);
}

static __maybe_unused int pause_open(void)
{
	static const char *const sleep[] = { "schedule_timeout" };
	static const char *const warn[] = { "warn_alloc" };
	int error;

	error = probe_function(&pause_probes[0], sleep, ARRAY_SIZE(sleep), pause_sleep);
	error = error ?: probe_function(&pause_probes[1], warn, ARRAY_SIZE(warn), pause_warn);
	if (!error)
		return 0;
	pr_err("harness: no probes on schedule_timeout and warn_alloc: error %d\n", error);
	pause_close();
	return error;
}

#endif
