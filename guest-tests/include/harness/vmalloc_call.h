/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One call of a vmalloc function under observation: sent to address space without page tables,
 * chosen allocations failed, all of them watched, its time limited.
 *
 * A suite calls vmalloc_call_open() in its setup and vmalloc_call_close() in its teardown.
 */
#ifndef HARNESS_VMALLOC_CALL_H
#define HARNESS_VMALLOC_CALL_H

#include <linux/vmalloc.h>

#include <harness/alloc_watch.h>
#include <harness/compat.h>
#include <harness/tracked_task.h>

/**
 * struct vmalloc_call - what to call, and what came of it
 * @alloc: the function: alloc_vmalloc(), alloc_kvmalloc(), alloc_huge() or the test's own
 * @size: its bytes
 * @gfp: its flags
 * @plan: which allocations inside it are failed
 * @outer: scope around the call: PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, 0
 * @killed: a fatal signal is pending all the while
 * @crossing: across two entries of the top-level page table
 * @from: lowest address for the area, with @to
 * @to: end of the range that the area has to lie in; 0: a fresh region
 * @meanwhile: or NULL; what another task does while it runs, again and again
 * @data: given to @meanwhile; stays valid as long as the call runs
 * @addr: result: the memory
 * @injected: result: something was failed
 * @start: result: where the call was sent to
 * @expected: result: page-table pages that a call which maps all must have built
 * @scope: result: scopes in force right after the call, inside the outer one
 * @fatal: result: the fatal signal was still pending then
 * @did: result: what was done to the task, and how it waited
 * @seen: result: what it allocated
 */
struct vmalloc_call {
	void *(*alloc)(unsigned long size, gfp_t gfp);
	unsigned long size;
	gfp_t gfp;
	struct fault_plan plan;
	unsigned int outer;
	bool killed;
	bool crossing;
	unsigned long from, to;
	void (*meanwhile)(void *data);
	void *data;

	void *addr;
	bool injected;
	unsigned long start;
	unsigned int expected;
	unsigned int scope;
	bool fatal;
	struct tracked_task did;
	struct alloc_watch seen;
};

/**
 * alloc_vmalloc() - __vmalloc() as &vmalloc_call.alloc
 * @size: bytes
 * @gfp: flags
 *
 * Return: memory or NULL
 */
void *alloc_vmalloc(unsigned long size, gfp_t gfp);

/**
 * alloc_kvmalloc() - kvmalloc() as &vmalloc_call.alloc
 * @size: bytes
 * @gfp: flags
 *
 * Return: memory or NULL
 */
void *alloc_kvmalloc(unsigned long size, gfp_t gfp);

/**
 * alloc_huge() - vmalloc in huge mappings as &vmalloc_call.alloc
 * @size: bytes
 * @gfp: flags
 *
 * Where the kernel or the architecture has none for vmalloc, it is __vmalloc().
 *
 * Return: memory or NULL
 */
void *alloc_huge(unsigned long size, gfp_t gfp);

/**
 * vmalloc_call_open() - put all probes in place, and look for fresh address space
 *
 * Return: 0 or -errno; no probe is left then
 */
int vmalloc_call_open(void);

/**
 * vmalloc_call_close() - remove the probes
 */
void vmalloc_call_close(void);

/**
 * vmalloc_call_run() - make a call in the thread of timed_call.h
 * @call: the call; its results are filled in
 *
 * Return: 0, -ETIMEDOUT if the call does not come back, -ENOSPC if no place is left for it
 */
int vmalloc_call_run(struct vmalloc_call *call);

/**
 * vmalloc_call_free() - free the memory that a call returned, if any
 * @call: the call
 */
void vmalloc_call_free(struct vmalloc_call *call);

/**
 * vmalloc_call_place() - choose the place of a call that vmalloc_call_make() makes
 * @call: the call; its start and expected are filled in
 */
void vmalloc_call_place(struct vmalloc_call *call);

/**
 * vmalloc_call_make() - make a call in the current task, without a limit to its time
 * @call: the call, with its place; its results are filled in
 */
void vmalloc_call_make(struct vmalloc_call *call);

/**
 * vmalloc_call_is_stuck() - does a call go round in circles?
 * @call: a &struct vmalloc_call; &timed_call.is_stuck for whoever runs vmalloc_call_make()
 *
 * It sleeps again and again, far more often than it was failed, and allocates nothing. It is then
 * let sleep for good the next time, or it would fill the log.
 *
 * Return: true if it does
 */
bool vmalloc_call_is_stuck(void *call);

/** VMALLOC_CALL_PATIENCE - how many sleeps more than failures are a call that is stuck */
#define VMALLOC_CALL_PATIENCE 50

/**
 * vmalloc_call_in_place() - did a call go where it was sent to?
 * @call: the call
 *
 * Return: true if its memory is there
 */
bool vmalloc_call_in_place(const struct vmalloc_call *call);

/**
 * vmalloc_call_sound() - is the memory as it should be?
 * @call: a call that returned memory
 *
 * Return: true if its area is of the right size, each page in it mapped where it belongs, zero
 * where that was asked for, and nobody else's
 */
bool vmalloc_call_sound(const struct vmalloc_call *call);

/**
 * vmalloc_call_areas_left() - count areas that are still there where a call had its own
 * @call: a call that failed, or whose memory was freed
 *
 * Return: how many; the array of pages may have been in one as well
 */
unsigned int vmalloc_call_areas_left(const struct vmalloc_call *call);

/**
 * vmalloc_call_left() - did a call leave anything behind?
 * @call: a call that failed, or whose memory was freed
 *
 * Return: true if an area, a kmalloc object or a page is still there
 */
bool vmalloc_call_left(const struct vmalloc_call *call);

/**
 * vmalloc_area_of() - find_vm_area(), which is not exported
 * @addr: an address
 *
 * Return: the area that begins there, or NULL
 */
struct vm_struct *vmalloc_area_of(const void *addr);

/**
 * vmalloc_pages_count() - count the pages that vmalloc has given out
 *
 * Return: how many, but for kernel stacks; some of those of ended tasks are in it, too
 */
long vmalloc_pages_count(void);

/** VMALLOC_PAGES_STRAY - pages of stacks that may be in the count, but belong to no task */
#define VMALLOC_PAGES_STRAY 256L

/**
 * vmalloc_pages_drift() - compare the count of pages with an earlier one
 * @before: the count of before
 *
 * The stack of a task that ended is in it until a work item has freed it, and from 5.18 on for a
 * grace period as well: where tasks come and go, what counts is the closest of some looks. What a
 * call lost is lost in each.
 *
 * Return: how many pages more there are
 */
long vmalloc_pages_drift(long before);

#endif
