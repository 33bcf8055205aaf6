/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel's own checkers allocate while a tracked task works: KASAN's shadow of an area,
 * the stack traces that it keeps, kmemleak's records. They are no part of what the task was asked
 * for: for the shadow no scope is promised, neither in mainline nor in the series, and where a
 * trace or a record cannot be had the kernel goes on without. So nobody looks at them or fails them.
 */
#ifndef HARNESS_IGNORED_ALLOCS_H
#define HARNESS_IGNORED_ALLOCS_H

/**
 * ignored_allocs_open() - put probes on the checkers that the kernel has
 *
 * Return: 0 or -errno; no probe is left then
 */
int ignored_allocs_open(void);

/**
 * ignored_allocs_close() - remove the probes
 */
void ignored_allocs_close(void);

#endif
