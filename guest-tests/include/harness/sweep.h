/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Nth-failure sweep: make the same call again and again, fail its first allocation, then its
 * second, and so on, until a call came through in which there was nothing left to fail.
 */
#ifndef HARNESS_SWEEP_H
#define HARNESS_SWEEP_H

#include <harness/memory.h>
#include <harness/vcall.h>

#define SWEEP_MAX 64 /* no call has that many places; the sweep would not end */

struct sweep {
	void *(*alloc)(unsigned long size, gfp_t gfp);
	unsigned long size;
	gfp_t gfp;
	/* What came of it. */
	unsigned int injected;	/* calls in which an allocation was failed */
	unsigned int nulls;	/* of these: returned NULL */
	unsigned int tables;	/* page-table pages that the last call built */
	unsigned int tables_fs;	/* of all calls: that could have entered filesystem reclaim */
	unsigned int tables_io;
	unsigned int bad;	/* calls whose memory was wrong */
	unsigned int leaks;	/* calls that left something behind */
};

/* Look at what a call has returned, free it, look at what is left. */
static void sweep_check(struct sweep *sweep, struct vcall *call)
{
	bool zeroed = !call->addr || !(call->gfp & __GFP_ZERO) ||
		      memory_zero_until(call->addr, call->size) == call->size;

	if (call->addr && (!zeroed || memory_own_until(call->addr, call->size) != call->size))
		sweep->bad++;
	vcall_free(call);
	if (vcall_areas_left(call) || watch_objects_left())
		sweep->leaks++;
}

/* Returns 0, or an error that has been reported as a failure of the case. */
static __maybe_unused int sweep_run(struct kunit *test, struct sweep *sweep)
{
	struct vcall call = { .alloc = sweep->alloc, .size = sweep->size, .gfp = sweep->gfp };
	unsigned int first = 0, last = 0;
	int error;

	for (call.nth = 1; call.nth <= SWEEP_MAX; call.nth++) {
		if (sweep->gfp & __GFP_ZERO)
			memory_soil(sweep->size);
		error = vcall_run(&call);
		if (error) {
			KUNIT_FAIL(test, "call with failure %u does not return", call.nth);
			return error;
		}
		sweep->tables_fs += call.seen.tables_fs;
		sweep->tables_io += call.seen.tables_io;
		if (call.injected) {
			sweep->injected++;
		} else {
			sweep->tables = call.seen.tables;
			KUNIT_EXPECT_TRUE_MSG(test, call.addr, "NULL although nothing was failed");
			KUNIT_EXPECT_GE_MSG(test, call.seen.tables, call.expected,
					    "the call found page tables that were there before");
		}
		if (!call.addr) {
			first = first ?: call.nth;
			last = call.nth;
			sweep->nulls += call.injected;
		}
		sweep_check(sweep, &call);
		if (!call.injected)
			break;
	}
	kunit_info(test, "%lu KiB, gfp %#x: %u failures injected, %u of them returned NULL (%u..%u), "
		   "%u page tables\n", sweep->size / 1024, (__force unsigned int)sweep->gfp,
		   sweep->injected, sweep->nulls, first, last, sweep->tables);
	KUNIT_EXPECT_LE_MSG(test, call.nth, (unsigned int)SWEEP_MAX, "the sweep does not end");
	/* A sweep that could not fail anything has proved nothing: are the test's knobs set? */
	KUNIT_EXPECT_GE_MSG(test, sweep->injected, call.expected,
			    "fewer failures injected than the call has page tables to build");
	KUNIT_EXPECT_EQ_MSG(test, sweep->bad, 0u, "memory not zeroed, or not its own");
	KUNIT_EXPECT_EQ_MSG(test, sweep->leaks, 0u, "calls left an area or an object behind");
	return 0;
}

#endif
