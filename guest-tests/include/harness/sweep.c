// SPDX-License-Identifier: GPL-2.0-only
#include <harness/memory.h>
#include <harness/sweep.h>

#define MOST 64 /* no call has that many places; the sweep would not end */

/* Look at what a call has returned, free it, look at what is left. */
static void check(struct sweep *sweep, struct vmalloc_call *call)
{
	sweep->calls++;
	sweep->tables_fs += call->seen.tables_fs;
	sweep->tables_io += call->seen.tables_io;
	sweep->insisted += call->seen.insisted;
	sweep->refused += call->did.failed;
	sweep->sleeps += call->did.sleeps;
	sweep->unslept += call->did.unslept;
	sweep->longest = max(sweep->longest, call->did.longest);
	sweep->wait = max(sweep->wait, call->did.wait);
	sweep->injected += call->injected;
	sweep->scopes += call->scope != call->outer;
	if (!call->addr && !call->injected) {
		sweep->empty++;
	} else if (!call->addr) {
		sweep->first = sweep->first ?: sweep->nth;
		sweep->last = sweep->nth;
		sweep->nulls++;
	} else if (!vmalloc_call_sound(call)) {
		sweep->bad++;
	}
	vmalloc_call_free(call);
	if (vmalloc_call_left(call) && !sweep->leaks++) {
		sweep->areas = vmalloc_call_areas_left(call);
		sweep->objects = alloc_watch_objects_left();
		sweep->pages = alloc_watch_pages_left();
	}
}

int sweep_call(struct kunit *test, struct sweep *sweep, struct vmalloc_call *call)
{
	long before;
	int error;

	if (call->gfp & __GFP_ZERO)
		memory_soil(call->size);
	before = vmalloc_pages_count();
	error = vmalloc_call_run(call);
	if (error == -ENOSPC)
		KUNIT_FAIL(test, "no address space left that has no page tables");
	else if (error)
		KUNIT_FAIL(test, "%lu KiB, gfp %#x: the call does not return: %u failures from the "
			   "%u. on or of seed %u, %u sleeps", call->size / 1024,
			   (__force unsigned int)call->gfp, tracked_tasks[0].failed, call->plan.first,
			   call->plan.seed, tracked_tasks[0].sleeps);
	if (error)
		return error;
	check(sweep, call);
	sweep->drift += vmalloc_pages_drift(before);
	return 0;
}

void sweep_judge(struct kunit *test, const struct sweep *sweep)
{
	const struct vmalloc_call *call = &sweep->call;
	long drift = abs(sweep->drift);

	kunit_info(test, "%lu KiB, gfp %#x: %u calls, %u injected, %u refusals, %u NULL (%u..%u), "
		   "%u page tables, %u sleeps up to %lu ticks\n", call->size / 1024,
		   (__force unsigned int)call->gfp, sweep->calls, sweep->injected, sweep->refused,
		   sweep->nulls, sweep->first, sweep->last, sweep->tables, sweep->sleeps,
		   sweep->longest);
	KUNIT_EXPECT_EQ_MSG(test, sweep->empty, 0u, "NULL although nothing was failed");
	KUNIT_EXPECT_EQ_MSG(test, sweep->bad, 0u,
			    "memory of the wrong size, not mapped, not zeroed, or not its own");
	KUNIT_EXPECT_EQ_MSG(test, sweep->leaks, 0u,
			    "calls left something behind, the first %u areas, %u objects, %u pages",
			    sweep->areas, sweep->objects, sweep->pages);
	KUNIT_EXPECT_EQ_MSG(test, sweep->scopes, 0u, "scopes of the task were changed");
	KUNIT_EXPECT_LT_MSG(test, drift, VMALLOC_PAGES_STRAY, "the count of vmalloc pages has drifted");
	/* What the caller has forbidden, each try has to forbid. */
	if (!(call->gfp & __GFP_FS))
		KUNIT_EXPECT_EQ_MSG(test, sweep->tables_fs, 0u, "page tables by way of the FS");
	if (!(call->gfp & __GFP_IO))
		KUNIT_EXPECT_EQ_MSG(test, sweep->tables_io, 0u, "page tables by way of I/O");
}

void sweep_judge_nofail(struct kunit *test, const struct sweep *sweep)
{
	KUNIT_EXPECT_EQ_MSG(test, sweep->nulls, 0u, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, sweep->unslept, 0u, "tried again without having slept");
	KUNIT_EXPECT_LE_MSG(test, sweep->wait, (unsigned long)SWEEP_WAIT,
			    "waits for more than a tick before it tries again");
	KUNIT_EXPECT_LE_MSG(test, sweep->longest, (unsigned long)SWEEP_LONGEST_SLEEP,
			    "slept far longer than it takes for memory to come free");
	KUNIT_EXPECT_EQ_MSG(test, sweep->insisted, 0u,
			    "__GFP_NOFAIL where the page allocator cannot promise anything");
}

int sweep_run(struct kunit *test, struct sweep *sweep)
{
	struct vmalloc_call call;
	int error;

	for (sweep->nth = 1; sweep->nth <= MOST; sweep->nth++) {
		call = sweep->call;
		call.plan = (struct fault_plan){ .first = sweep->nth, .count = sweep->count };
		error = sweep_call(test, sweep, &call);
		if (error)
			return error;
		if (!call.injected)
			break;
	}
	sweep->tables = call.seen.tables;
	sweep_judge(test, sweep);
	KUNIT_EXPECT_GE_MSG(test, sweep->tables, call.expected,
			    "the call found page tables that were there before");
	KUNIT_EXPECT_LE_MSG(test, sweep->nth, (unsigned int)MOST, "the sweep does not end");
	/* A sweep that could not fail anything has proved nothing: are the test's knobs set? */
	KUNIT_EXPECT_GE_MSG(test, sweep->injected, call.expected,
			    "fewer failures injected than the call has page tables to build");
	return 0;
}

int sweep_seeds(struct kunit *test, struct sweep *sweep, u32 from, u32 to)
{
	u32 seed;
	int error;

	for (seed = from; seed <= to; seed++) {
		struct vmalloc_call call = sweep->call;

		/* Neighbouring seeds start xorshift alike. */
		call.plan.seed = seed * 2654435761U;
		sweep->nth = seed;
		error = sweep_call(test, sweep, &call);
		if (error)
			return error;
		sweep->tables = call.seen.tables;
	}
	sweep_judge(test, sweep);
	KUNIT_EXPECT_GE_MSG(test, sweep->injected, (to - from + 1) / 2, "hardly anything failed");
	return 0;
}
