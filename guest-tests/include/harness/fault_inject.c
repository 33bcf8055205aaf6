// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

#include <harness/fault_inject.h>
#include <harness/symbol.h>
#include <harness/tracked_task.h>

#ifndef CONFIG_FAULT_INJECTION
#error "the test needs a kernel with fault injection (kconfigs/fault-injection.config)"
#endif

#define RANDOM_MOST 12 /* failures that one seed causes in one call at most */

static bool fail_at_random(struct tracked_task *tracked)
{
	/* xorshift32 */
	tracked->random ^= tracked->random << 13;
	tracked->random ^= tracked->random >> 17;
	tracked->random ^= tracked->random << 5;
	if (tracked->failed >= RANDOM_MOST)
		return false;
	if (!tracked->burst && tracked->random % 3 == 0)
		tracked->burst = 1 + (tracked->random >> 8) % 8;
	if (!tracked->burst)
		return false;
	tracked->burst--;
	return true;
}

static bool fail_now(struct tracked_task *tracked)
{
	const struct fault_plan *plan = &tracked->plan;
	unsigned int step = plan->step ?: 1;

	tracked->requests++;
	if (plan->seed)
		return fail_at_random(tracked);
	return plan->first && tracked->requests >= plan->first &&
	       tracked->failed < (plan->count ?: 1) &&
	       (tracked->requests - plan->first) % step == 0;
}

/* A page table is asked for: if the one before was refused, there must have been a sleep. */
static void note_table(struct tracked_task *tracked, bool refused)
{
	tracked->unslept += tracked->owes_sleep;
	tracked->owes_sleep = refused;
}

static int page_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();

	if (!tracked)
		return 0;
	tracked->slab = false;
	tracked->gfp = (__force gfp_t)*probe_argument(regs, 0);
	tracked->order = *probe_argument(regs, 1);
	if (is_page_table(tracked->order, tracked->gfp))
		note_table(tracked, false);
	return 0;
}

static int slab_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();

	if (!tracked)
		return 0;
	tracked->slab = true;
	if (!tracked->plan.insist || !fail_now(tracked))
		return 0;
	tracked->failed++;
	probe_return(regs, -ENOMEM);
	return 1;
}

static void slab_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* The decision: it fails the request if fail_nth of the task is 1. */
static int decision_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct tracked_task *tracked = tracked_task_active();

	if (!tracked || tracked->plan.insist)
		return 0;
	current->fail_nth = fail_now(tracked);
	if (!current->fail_nth)
		return 0;
	tracked->failed++;
	if (!tracked->slab && is_page_table(tracked->order, tracked->gfp))
		note_table(tracked, true);
	return 0;
}

static struct kprobe page_probe, decision_probe;
static struct kprobe slab_probe = { .post_handler = slab_post };

void fault_inject_close(void)
{
	probe_remove(&page_probe);
	probe_remove(&slab_probe);
	probe_remove(&decision_probe);
}

int fault_inject_open(void)
{
	static const char *const page[] = { "should_fail_alloc_page" };
	static const char *const slab[] = { "should_failslab" };
	/* A variant with flags came in between in 6.1. */
	static const char *const decision[] = { "should_fail_ex", "should_fail" };
	int error;

	error = probe_function(&page_probe, page, ARRAY_SIZE(page), page_entry);
	error = error ?: probe_function(&slab_probe, slab, ARRAY_SIZE(slab), slab_entry);
	error = error ?: probe_function(&decision_probe, decision, ARRAY_SIZE(decision),
					decision_entry);
	if (!error)
		return 0;
	pr_err("harness: no probes on the fault injection: error %d\n", error);
	fault_inject_close();
	return error;
}
