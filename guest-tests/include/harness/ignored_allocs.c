// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

#include <harness/ignored_allocs.h>
#include <harness/symbol.h>
#include <harness/tracked_task.h>

static int checker_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_of_current();

	if (!tracked)
		return 1; /* its return is of no interest */
	tracked->ignored++;
	return 0;
}

static int checker_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_of_current();

	/* The task may have begun anew, or ended, in between. */
	if (tracked && tracked->ignored)
		tracked->ignored--;
	return 0;
}

#define NAMES 2

static struct checker {
	const char *names[NAMES]; /* the first that the kernel has; it may have none */
	struct kretprobe probe;
} checkers[] = {
	{ .names = { "__kasan_populate_vmalloc", "kasan_populate_vmalloc" } },
	/* In 6.1 some callers pass by the second; since 6.8 the first is what all end in. */
	{ .names = { "stack_depot_save_flags", "__stack_depot_save" } },
	{ .names = { "stack_depot_save" } },
	{ .names = { "kmemleak_alloc" } },
	{ .names = { "kmemleak_vmalloc" } },
};

void ignored_allocs_close(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(checkers); i++)
		return_probe_remove(&checkers[i].probe);
}

int ignored_allocs_open(void)
{
	size_t i, count;
	int error;

	for (i = 0; i < ARRAY_SIZE(checkers); i++) {
		for (count = 0; count < NAMES && checkers[i].names[count]; count++)
			;
		checkers[i].probe.entry_handler = checker_entry;
		checkers[i].probe.handler = checker_return;
		error = return_probe(&checkers[i].probe, checkers[i].names, count);
		if (error && error != -ENOENT) {
			pr_err("harness: no probe on %s: error %d\n", checkers[i].names[0], error);
			ignored_allocs_close();
			return error;
		}
	}
	return 0;
}
