/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel's own checkers allocate while a subject works: KASAN's shadow of an area, the
 * stack traces that it keeps, kmemleak's records. They are no part of what the subject was asked
 * for: for the shadow no scope is promised, neither in mainline nor in the series, and where a
 * trace or a record cannot be had the kernel goes on without. So nobody looks at them, and nobody
 * fails them.
 */
#ifndef HARNESS_ASIDE_H
#define HARNESS_ASIDE_H

#include <harness/subject.h>
#include <harness/symbol.h>

static int aside_begin(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct subject *subject = subject_of_current();

	if (!subject)
		return 1; /* its return is of no interest */
	subject->aside++;
	return 0;
}

static int aside_end(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct subject *subject = subject_of_current();

	/* The task may have begun anew, or ended, in between. */
	if (subject && subject->aside)
		subject->aside--;
	return 0;
}

#define ASIDE_NAMES 2

static struct aside {
	const char *names[ASIDE_NAMES]; /* the first that the kernel has; it may have none */
	struct kretprobe probe;
} asides[] = {
	{ .names = { "__kasan_populate_vmalloc", "kasan_populate_vmalloc" } },
	/* In 6.1 some callers pass by the second; since 6.8 the first is what all end in. */
	{ .names = { "stack_depot_save_flags", "__stack_depot_save" } },
	{ .names = { "stack_depot_save" } },
	{ .names = { "kmemleak_alloc" } },
	{ .names = { "kmemleak_vmalloc" } },
};

static __maybe_unused void aside_close(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(asides); i++)
		return_probe_remove(&asides[i].probe);
}

static __maybe_unused int aside_open(void)
{
	size_t i, count;
	int error;

	for (i = 0; i < ARRAY_SIZE(asides); i++) {
		for (count = 0; count < ASIDE_NAMES && asides[i].names[count]; count++)
			;
		asides[i].probe.entry_handler = aside_begin;
		asides[i].probe.handler = aside_end;
		error = return_probe(&asides[i].probe, asides[i].names, count);
		if (error && error != -ENOENT) {
			pr_err("harness: no probe on %s: error %d\n", asides[i].names[0], error);
			aside_close();
			return error;
		}
	}
	return 0;
}

#endif
