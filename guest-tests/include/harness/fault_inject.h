/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fail chosen allocations of a tracked task: the Nth, a run of them, or bursts at random from a
 * seed, as its struct fault_plan says.
 *
 * The kernel's fault injection does it: a probe on its decision sets fail_nth of the task for one
 * request at a time. So requests with __GFP_NOFAIL are passed over as always, and the test's knobs
 * have to open up those that may sleep (ignore-gfp-wait, ignore-gfp-highmem, min-order).
 *
 * plan.insist goes further: the slab allocator then refuses requests with __GFP_NOFAIL as well,
 * as it would without any memory for as long as the test likes. No caller survives that unless it
 * tries again by itself, as vmalloc has to for the descriptors of an area.
 */
#ifndef HARNESS_FAULT_INJECT_H
#define HARNESS_FAULT_INJECT_H

/**
 * fault_inject_open() - put probes on the kernel's fault injection
 *
 * Return: 0 or -errno; no probe is left then
 */
int fault_inject_open(void);

/**
 * fault_inject_close() - remove the probes
 */
void fault_inject_close(void);

#endif
