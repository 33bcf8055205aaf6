/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fail chosen allocations of a subject: the Nth, a run of them, or bursts at random from a seed.
 *
 * The kernel's fault injection does it: a probe on its decision sets fail_nth of the task for one
 * request at a time. So requests with __GFP_NOFAIL are passed over as always, and the test's knobs
 * have to open up those that may sleep (ignore-gfp-wait, ignore-gfp-highmem, min-order).
 *
 * plan.insist goes further: the slab allocator then refuses requests with __GFP_NOFAIL as well,
 * as it would without any memory for as long as the test likes. No caller survives that unless it
 * tries again by itself, as vmalloc has to for the descriptors of an area.
 */
#ifndef HARNESS_INJECT_H
#define HARNESS_INJECT_H

#include <harness/subject.h>
#include <harness/symbol.h>

#ifndef CONFIG_FAULT_INJECTION
#error "the test needs a kernel with fault injection (kconfigs/fault-injection.config)"
#endif

#define INJECT_RANDOM_MOST 12 /* failures that one seed causes in one call at most */

static bool inject_random(struct subject *subject)
{
	/* xorshift32 */
	subject->random ^= subject->random << 13;
	subject->random ^= subject->random >> 17;
	subject->random ^= subject->random << 5;
	if (subject->failed >= INJECT_RANDOM_MOST)
		return false;
	if (!subject->burst && subject->random % 3 == 0)
		subject->burst = 1 + (subject->random >> 8) % 8;
	if (!subject->burst)
		return false;
	subject->burst--;
	return true;
}

static bool inject_now(struct subject *subject)
{
	const struct inject_plan *plan = &subject->plan;
	unsigned int step = plan->step ?: 1;

	subject->requests++;
	if (plan->seed)
		return inject_random(subject);
	return plan->first && subject->requests >= plan->first &&
	       subject->failed < (plan->count ?: 1) &&
	       (subject->requests - plan->first) % step == 0;
}

/* A page table is asked for: if the one before was refused, there must have been a sleep. */
static void inject_table(struct subject *subject, bool refused)
{
	subject->unslept += subject->owes;
	subject->owes = refused;
}

static int inject_page(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();

	if (!subject)
		return 0;
	subject->slab = false;
	subject->gfp = (__force gfp_t)*probe_argument(regs, 0);
	subject->order = *probe_argument(regs, 1);
	if (is_table(subject->order, subject->gfp))
		inject_table(subject, false);
	return 0;
}

static int inject_slab(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();

	if (!subject)
		return 0;
	subject->slab = true;
	if (!subject->plan.insist || !inject_now(subject))
		return 0;
	subject->failed++;
	probe_return(regs, -ENOMEM);
	return 1;
}

static void inject_nothing(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* The decision: it fails the request if fail_nth of the task is 1. */
static int inject_decide(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();

	if (!subject || subject->plan.insist)
		return 0;
	current->fail_nth = inject_now(subject);
	if (!current->fail_nth)
		return 0;
	subject->failed++;
	if (!subject->slab && is_table(subject->order, subject->gfp))
		inject_table(subject, true);
	return 0;
}

static struct kprobe inject_probes[3];

static __maybe_unused void inject_close(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(inject_probes); i++)
		probe_remove(&inject_probes[i]);
}

static __maybe_unused int inject_open(void)
{
	static const char *const page[] = { "should_fail_alloc_page" };
	static const char *const slab[] = { "should_failslab" };
	/* A variant with flags came in between in 6.1. */
	static const char *const decide[] = { "should_fail_ex", "should_fail" };
	int error;

	inject_probes[1].post_handler = inject_nothing;
	error = probe_function(&inject_probes[0], page, ARRAY_SIZE(page), inject_page);
	error = error ?: probe_function(&inject_probes[1], slab, ARRAY_SIZE(slab), inject_slab);
	error = error ?: probe_function(&inject_probes[2], decide, ARRAY_SIZE(decide),
					inject_decide);
	if (!error)
		return 0;
	pr_err("harness: no probes on the fault injection: error %d\n", error);
	inject_close();
	return error;
}

#endif
