/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tasks whose calls are being tested. What is done to a call (vmalloc_place.h, fault_inject.h)
 * and seen of it (sleep_watch.h) is kept by task, so that several may be tested at once.
 */
#ifndef HARNESS_TRACKED_TASK_H
#define HARNESS_TRACKED_TASK_H

#include <linux/gfp.h>
#include <linux/sched.h>

#define TRACKED_TASKS 8

/**
 * struct fault_plan - which allocations of a call are failed, counted from 1 in the call's order
 * @first: the first that is failed; 0: none
 * @count: how many in a row; 0 means 1
 * @seed: not 0: bursts of 1 to 8 at random places instead, see fault_inject.h
 * @insist: fail slab requests only, but also those with __GFP_NOFAIL
 * @step: with @insist: fail every step-th only; 0 means 1
 */
struct fault_plan {
	unsigned int first;
	unsigned int count;
	u32 seed;
	bool insist;
	unsigned int step;
};

/**
 * struct tracked_task - a task under test, what is done to its calls, and what is seen of them
 * @task: the task; NULL while nothing is tracked
 * @start: vmalloc_place: lowest address of its vmalloc areas; 0: where the kernel likes
 * @end: vmalloc_place: end of the range; 0: as high as the caller said
 * @plan: fault_inject: which allocations are failed
 * @random: fault_inject: state of the generator, not 0 with @plan.seed
 * @burst: fault_inject: failures left of a random burst
 * @requests: fault_inject: requests that could be failed
 * @failed: fault_inject: requests that were
 * @order: fault_inject: order of the request under way
 * @gfp: fault_inject: its flags
 * @slab: fault_inject: it is one for a slab object
 * @ignored: ignored_allocs: not 0 while a checker of the kernel's allocates for itself
 * @sleeps: sleep_watch: how often the task went to sleep of its own accord
 * @longest: sleep_watch: the longest time that it asked for, in ticks
 * @shortest: sleep_watch: the shortest; 0: none
 * @wait: sleep_watch: the longest right after a page table was refused
 * @warned: sleep_watch: how often it told the log that it had no memory
 * @owes_sleep: a page table was refused, and the task has not slept since
 * @unslept: requests for a page table that were made again without a sleep
 * @parked: the call never comes back: let the task sleep for good
 */
struct tracked_task {
	struct task_struct *task;
	unsigned long start, end;
	struct fault_plan plan;
	u32 random;
	unsigned int burst;
	unsigned int requests;
	unsigned int failed;
	unsigned int order;
	gfp_t gfp;
	bool slab;
	unsigned int ignored;
	unsigned int sleeps;
	unsigned long longest;
	unsigned long shortest;
	unsigned long wait;
	unsigned int warned;
	bool owes_sleep;
	unsigned int unslept;
	bool parked;
};

/** tracked_tasks - by slot; vmalloc_call.h takes slot 0 */
extern struct tracked_task tracked_tasks[TRACKED_TASKS];

/**
 * tracked_task_prepare() - clear a slot
 * @slot: which; two tasks must not take the same
 *
 * Return: the slot, for the caller to fill before tracked_task_start()
 */
struct tracked_task *tracked_task_prepare(unsigned int slot);

/**
 * tracked_task_start() - track current from here on
 * @tracked: its slot, prepared
 */
void tracked_task_start(struct tracked_task *tracked);

/**
 * tracked_task_stop() - track current no longer; what was seen stays in the slot
 * @tracked: its slot
 */
void tracked_task_stop(struct tracked_task *tracked);

/**
 * tracked_task_of_current() - find the slot of current, whatever current is doing
 *
 * Return: the slot, NULL if current is not tracked
 */
struct tracked_task *tracked_task_of_current(void);

/**
 * tracked_task_active() - find the slot of current, for the handler of a kprobe
 *
 * Return: the slot, NULL if current is not tracked or does something else now. What a task
 * allocates while it reclaims or compacts is not part of the work it was asked for; nor is an
 * interrupt that hits it, nor what ignored_allocs.h counts.
 */
struct tracked_task *tracked_task_active(void);

/**
 * tracked_task_is_ignored() - does what current allocates not count?
 *
 * Return: true while a checker of the kernel's allocates in its name
 */
bool tracked_task_is_ignored(void);

/**
 * is_page_table() - is a request one for a page table?
 * @order: of the request
 * @gfp: of the request
 *
 * Page tables are the only single pages that are asked for zeroed without __GFP_HIGHMEM here:
 * vmalloc adds that flag for its pages, and slab takes __GFP_ZERO away before it asks for a slab.
 *
 * Return: true if it is
 */
static inline bool is_page_table(unsigned int order, gfp_t gfp)
{
	return !order && (gfp & __GFP_ZERO) && !(gfp & __GFP_HIGHMEM);
}

#endif
