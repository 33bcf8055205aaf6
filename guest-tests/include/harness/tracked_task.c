// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hardirq.h>
#include <linux/string.h>

#include <harness/tracked_task.h>

struct tracked_task tracked_tasks[TRACKED_TASKS];

struct tracked_task *tracked_task_of_current(void)
{
	int i;

	for (i = 0; i < TRACKED_TASKS; i++) {
		if (READ_ONCE(tracked_tasks[i].task) == current)
			return &tracked_tasks[i];
	}
	return NULL;
}

bool tracked_task_is_ignored(void)
{
	struct tracked_task *tracked = tracked_task_of_current();

	return tracked && tracked->ignored;
}

struct tracked_task *tracked_task_active(void)
{
	/* A breakpoint of x86, which a probe is, counts as NMI, and an NMI as one interrupt more. */
	unsigned long probe = in_nmi() ? HARDIRQ_OFFSET : 0;
	struct tracked_task *tracked;

	if (current->flags & PF_MEMALLOC || hardirq_count() > probe || in_serving_softirq())
		return NULL;
	tracked = tracked_task_of_current();
	return tracked && !tracked->ignored ? tracked : NULL;
}

struct tracked_task *tracked_task_prepare(unsigned int slot)
{
	struct tracked_task *tracked = &tracked_tasks[slot];

	WRITE_ONCE(tracked->task, NULL);
	barrier();
	memset(tracked, 0, sizeof(*tracked));
	return tracked;
}

void tracked_task_start(struct tracked_task *tracked)
{
	barrier();
	WRITE_ONCE(tracked->task, current);
}

void tracked_task_stop(struct tracked_task *tracked)
{
	WRITE_ONCE(tracked->task, NULL);
#ifdef CONFIG_FAULT_INJECTION
	current->fail_nth = 0;
#endif
}
