/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a tracked task waits: does it sleep between two tries, how long, and does it say so.
 *
 * A sleep is a call of schedule_timeout() that really can sleep: with a fatal signal pending, one
 * that signals may interrupt comes back at once, and a loop around it spins. To wait without a
 * limit is to wait for an event, as the page allocator does while it reclaims; and no time at all
 * is no sleep. What lies between a refused page table and the next request is vmalloc's own; other
 * sleeps may be the page allocator's, which waits for up to a tenth of a second under pressure.
 */
#ifndef HARNESS_SLEEP_WATCH_H
#define HARNESS_SLEEP_WATCH_H

/**
 * sleep_watch_open() - put probes on schedule_timeout() and warn_alloc()
 *
 * Return: 0 or -errno; no probe is left then
 */
int sleep_watch_open(void);

/**
 * sleep_watch_close() - remove the probes
 */
void sleep_watch_close(void);

#endif
