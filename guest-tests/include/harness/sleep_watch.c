// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/sched/signal.h>

#include <harness/compat.h>
#include <harness/sleep_watch.h>
#include <harness/symbol.h>
#include <harness/tracked_task.h>

static int sleep_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();
	unsigned long *timeout = probe_argument(regs, 0);

	if (!tracked)
		return 0;
	if (READ_ONCE(tracked->parked)) {
		*timeout = MAX_SCHEDULE_TIMEOUT;
		return 0;
	}
	if (*timeout == MAX_SCHEDULE_TIMEOUT || (long)*timeout <= 0)
		return 0;
	if (signal_pending_state(harness_task_state(current), current))
		return 0;
	tracked->sleeps++;
	tracked->longest = max(tracked->longest, *timeout);
	tracked->shortest = min(tracked->shortest ?: *timeout, *timeout);
	if (tracked->owes_sleep)
		tracked->wait = max(tracked->wait, *timeout);
	tracked->owes_sleep = false;
	return 0;
}

static int warn_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();

	if (tracked)
		tracked->warned++;
	return 0;
}

static struct kprobe sleep_probe, warn_probe;

void sleep_watch_close(void)
{
	probe_remove(&sleep_probe);
	probe_remove(&warn_probe);
}

int sleep_watch_open(void)
{
	static const char *const sleep[] = { "schedule_timeout" };
	static const char *const warn[] = { "warn_alloc" };
	int error;

	error = probe_function(&sleep_probe, sleep, ARRAY_SIZE(sleep), sleep_entry);
	error = error ?: probe_function(&warn_probe, warn, ARRAY_SIZE(warn), warn_entry);
	if (!error)
		return 0;
	pr_err("harness: no probes on schedule_timeout and warn_alloc: error %d\n", error);
	sleep_watch_close();
	return error;
}
