/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Nth-failure sweep: make the same call again and again, fail its first allocation, then its
 * second, and so on, until a call came through in which there was nothing left to fail. And the
 * same with runs of failures, and with bursts of them at random places.
 */
#ifndef HARNESS_SWEEP_H
#define HARNESS_SWEEP_H

#include <linux/jiffies.h>

#include <harness/vmalloc_call.h>

/** SWEEP_WAIT - what a wait for a page table may take, in ticks */
#define SWEEP_WAIT 1

/**
 * SWEEP_LONGEST_SLEEP - what a sleep may take, in ticks; under pressure the page allocator has a
 * part in that
 */
#define SWEEP_LONGEST_SLEEP (HZ / 10)

/**
 * struct sweep - a call that is made again and again, and what came of it
 * @call: what to do; its plan is the sweep's own
 * @count: failures in a row; 0 means 1
 * @calls: result: calls made
 * @injected: result: calls in which an allocation was failed
 * @nulls: result: of these: returned NULL
 * @empty: result: calls that returned NULL although nothing was failed
 * @tables: result: page-table pages that the last call built
 * @tables_fs: result: of all calls: that could have entered filesystem reclaim
 * @tables_io: result: of all calls: that could have started I/O
 * @insisted: result: requests in bulk or for large blocks with __GFP_NOFAIL
 * @bad: result: calls whose memory was wrong
 * @leaks: result: calls that left something behind
 * @areas: result: areas that the first of them left
 * @objects: result: kmalloc objects that it left
 * @pages: result: pages that it left
 * @scopes: result: calls that left the scopes of the task changed
 * @refused: result: failures in all
 * @sleeps: result: sleeps in all
 * @unslept: result: tries for a page table without a sleep since the last
 * @longest: result: the longest sleep, in ticks
 * @wait: result: the longest right after a page table was refused
 * @nth: result: the last one failed
 * @first: result: the first failure that gave NULL
 * @last: result: the last failure that gave NULL
 * @drift: result: of the count of vmalloc pages, over all calls
 */
struct sweep {
	struct vmalloc_call call;
	unsigned int count;

	unsigned int calls;
	unsigned int injected;
	unsigned int nulls;
	unsigned int empty;
	unsigned int tables;
	unsigned int tables_fs;
	unsigned int tables_io;
	unsigned int insisted;
	unsigned int bad;
	unsigned int leaks;
	unsigned int areas, objects, pages;
	unsigned int scopes;
	unsigned int refused;
	unsigned int sleeps;
	unsigned int unslept;
	unsigned long longest;
	unsigned long wait;
	unsigned int nth;
	unsigned int first, last;
	long drift;
};

/**
 * sweep_run() - fail allocations from the first, second ... one on, and judge by sweep_judge()
 * @test: the case
 * @sweep: the call and how many failures in a row; its results are filled in
 *
 * Return: 0, or an error that has been reported as a failure of the case
 */
int sweep_run(struct kunit *test, struct sweep *sweep);

/**
 * sweep_seeds() - the same with bursts of failures at random, once for each seed
 * @test: the case
 * @sweep: the call; its results are filled in
 * @from: the first seed
 * @to: the last seed
 *
 * Return: 0, or an error that has been reported as a failure of the case
 */
int sweep_seeds(struct kunit *test, struct sweep *sweep, u32 from, u32 to);

/**
 * sweep_call() - one call of a sweep, with a plan of the caller's own; it is freed
 * @test: the case
 * @sweep: the sweep that the results are added to
 * @call: the call
 *
 * Return: 0, or an error that has been reported as a failure of the case
 */
int sweep_call(struct kunit *test, struct sweep *sweep, struct vmalloc_call *call);

/**
 * sweep_judge() - expect what holds for every sweep, whether the calls in it may fail or not
 * @test: the case
 * @sweep: the sweep
 */
void sweep_judge(struct kunit *test, const struct sweep *sweep);

/**
 * sweep_judge_nofail() - expect what holds beyond that where __GFP_NOFAIL was given
 * @test: the case
 * @sweep: the sweep
 */
void sweep_judge_nofail(struct kunit *test, const struct sweep *sweep);

#endif
