/* SPDX-License-Identifier: GPL-2.0-only */
/* Anonymous memory of which every page is touched in turn, over and over. */
#ifndef LOADS_WORKING_SET_H
#define LOADS_WORKING_SET_H

#include "load.h"

#define WORKING_SET_BATCH 64 /* pages, from one breath to the next */
/*
 * How much of a page is noise; the rest is zero. zram then needs some 30 % of what it stores:
 * about what real memory compresses to, and enough to make room.
 */
#define WORKING_SET_NOISE (LOAD_PAGE / sizeof(uint64_t) / 4)

static inline void working_set_fill(void *page)
{
	uint64_t *words = page;
	size_t i;

	for (i = 0; i < WORKING_SET_NOISE; i++)
		words[i] = load_random();
}

/* Wait until the ramp allows for @at of @bytes: no page before its time. */
static inline void working_set_await(unsigned long at, unsigned long bytes)
{
	unsigned long due;

	if (!load.ramp_ms || at / LOAD_PAGE % WORKING_SET_BATCH)
		return;
	due = (unsigned long)((unsigned __int128)load.ramp_ms * at / bytes);
	due += load_begun_ms;
	if (load_now_ms() < due)
		load_sleep_ms(due - load_now_ms());
}

/* A worker that keeps @bytes in use; *@filled is 1 once it has touched all of them. */
static inline void working_set_keep(unsigned long bytes, volatile unsigned long *filled)
{
	unsigned long at, round;
	/* The kernel must not refuse it at once: pages are taken as they are touched. */
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		load_fail("mmap");
	for (at = 0; at < bytes; at += LOAD_PAGE) {
		working_set_await(at, bytes);
		working_set_fill(memory + at);
	}
	*filled = 1;
	for (round = 1;; round++) {
		for (at = 0; at < bytes; at += LOAD_PAGE) {
			*(volatile uint64_t *)(memory + at) += round;
			if (at / LOAD_PAGE % WORKING_SET_BATCH == 0)
				load_breathe();
		}
	}
}

#endif
