/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Nth-failure sweep: make the same call again and again, fail its first allocation, then its
 * second, and so on, until a call came through in which there was nothing left to fail. And the
 * same with runs of failures, and with bursts of them at random places.
 */
#ifndef HARNESS_SWEEP_H
#define HARNESS_SWEEP_H

#include <linux/jiffies.h>

#include <harness/memory.h>
#include <harness/vcall.h>

#define SWEEP_MAX 64 /* no call has that many places; the sweep would not end */

/*
 * What a wait may take, in ticks: for a page table, and in all, which the page allocator has a
 * part in under pressure.
 */
#define SWEEP_WAIT 1
#define SWEEP_LONGEST_SLEEP (HZ / 10)

struct sweep {
	struct vcall call;	/* what to do; its plan is the sweep's own */
	unsigned int count;	/* failures in a row; 0 means 1 */
	/* What came of it. */
	unsigned int calls;
	unsigned int injected;	/* calls in which an allocation was failed */
	unsigned int nulls;	/* of these: returned NULL */
	unsigned int empty;	/* calls that returned NULL although nothing was failed */
	unsigned int tables;	/* page-table pages that the last call built */
	unsigned int tables_fs;	/* of all calls: that could have entered filesystem reclaim */
	unsigned int tables_io;
	unsigned int insisted;	/* requests in bulk or for large blocks with __GFP_NOFAIL */
	unsigned int bad;	/* calls whose memory was wrong */
	unsigned int leaks;	/* calls that left something behind */
	unsigned int areas, objects, pages; /* the first of them left */
	unsigned int scopes;	/* calls that left the scopes of the task changed */
	unsigned int refused;	/* failures in all */
	unsigned int sleeps;
	unsigned int unslept;	/* tries for a page table without a sleep since the last */
	unsigned long longest;	/* the longest sleep, in ticks */
	unsigned long wait;	/* the longest right after a page table was refused */
	unsigned int nth;	/* the last one failed */
	unsigned int first, last; /* of those that gave NULL */
	long drift;		/* of the count of vmalloc pages, over all calls */
};

/* Look at what a call has returned, free it, look at what is left. */
static void sweep_check(struct sweep *sweep, struct vcall *call)
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
	} else if (!vcall_sound(call)) {
		sweep->bad++;
	}
	vcall_free(call);
	if (vcall_left(call) && !sweep->leaks++) {
		sweep->areas = vcall_areas_left(call);
		sweep->objects = watch_objects_left();
		sweep->pages = watch_pages_left();
	}
}

/* One call of the sweep. Returns 0, or an error that has been reported as a failure of the case. */
static __maybe_unused int sweep_call(struct kunit *test, struct sweep *sweep, struct vcall *call)
{
	long before;
	int error;

	if (call->gfp & __GFP_ZERO)
		memory_soil(call->size);
	before = vcall_nr_pages();
	error = vcall_run(call);
	if (error == -ENOSPC)
		KUNIT_FAIL(test, "no address space left that has no page tables");
	else if (error)
		KUNIT_FAIL(test, "%lu KiB, gfp %#x: the call does not return: %u failures from the "
			   "%u. on or of seed %u, %u sleeps", call->size / 1024,
			   (__force unsigned int)call->gfp, subjects[0].failed, call->plan.first,
			   call->plan.seed, subjects[0].sleeps);
	if (error)
		return error;
	sweep_check(sweep, call);
	sweep->drift += vcall_drift(before);
	return 0;
}

/* What holds for every sweep, whether the calls in it may fail or not. */
static void sweep_judge(struct kunit *test, const struct sweep *sweep)
{
	const struct vcall *call = &sweep->call;
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
	KUNIT_EXPECT_LT_MSG(test, drift, VCALL_STRAY, "the count of vmalloc pages has drifted");
	/* What the caller has forbidden, each try has to forbid. */
	if (!(call->gfp & __GFP_FS))
		KUNIT_EXPECT_EQ_MSG(test, sweep->tables_fs, 0u, "page tables by way of the FS");
	if (!(call->gfp & __GFP_IO))
		KUNIT_EXPECT_EQ_MSG(test, sweep->tables_io, 0u, "page tables by way of I/O");
}

/* What holds beyond that where __GFP_NOFAIL was given. */
static __maybe_unused void sweep_judge_nofail(struct kunit *test, const struct sweep *sweep)
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

/*
 * Fail @sweep->count allocations from the first, second ... one on. Returns 0, or an error that
 * has been reported as a failure of the case.
 */
static __maybe_unused int sweep_run(struct kunit *test, struct sweep *sweep)
{
	struct vcall call;
	int error;

	for (sweep->nth = 1; sweep->nth <= SWEEP_MAX; sweep->nth++) {
		call = sweep->call;
		call.plan = (struct inject_plan){ .first = sweep->nth, .count = sweep->count };
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
	KUNIT_EXPECT_LE_MSG(test, sweep->nth, (unsigned int)SWEEP_MAX, "the sweep does not end");
	/* A sweep that could not fail anything has proved nothing: are the test's knobs set? */
	KUNIT_EXPECT_GE_MSG(test, sweep->injected, call.expected,
			    "fewer failures injected than the call has page tables to build");
	return 0;
}

/* The same with bursts of failures at random, once for each seed from @from up to @to. */
static __maybe_unused int sweep_seeds(struct kunit *test, struct sweep *sweep, u32 from, u32 to)
{
	u32 seed;
	int error;

	for (seed = from; seed <= to; seed++) {
		struct vcall call = sweep->call;

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

#endif
