// SPDX-License-Identifier: GPL-2.0-only
#include <sys/mman.h>

#include "load.h"
#include "working_set.h"

#define BATCH 64 /* pages from one pause to the next */
/*
 * How much of a page is noise; the rest is zero. zram then needs some 30 % of what it stores:
 * about what real memory compresses to, and enough to make room.
 */
#define NOISE (LOAD_PAGE / sizeof(uint64_t) / 4)

static unsigned long bytes;
static volatile bool *filled;

void working_set_fill(void *page)
{
	uint64_t *words = page;
	size_t i;

	for (i = 0; i < NOISE; i++)
		words[i] = load_random();
}

void working_set_begin(unsigned long size)
{
	bytes = size;
	filled = load_shared(sizeof(*filled));
}

bool working_set_filled(void)
{
	return *filled;
}

void working_set_work(unsigned int worker)
{
	unsigned long at, round;
	/* The kernel must not refuse it at once: pages are taken as they are touched. */
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)worker;
	if (memory == MAP_FAILED)
		load_fail("mmap");
	for (at = 0; at < bytes; at += LOAD_PAGE) {
		if (at / LOAD_PAGE % BATCH == 0)
			load_await_due(at, bytes);
		working_set_fill(memory + at);
	}
	*filled = true;
	for (round = 1;; round++) {
		for (at = 0; at < bytes; at += LOAD_PAGE) {
			*(volatile uint64_t *)(memory + at) += round;
			if (at / LOAD_PAGE % BATCH == 0)
				load_throttle();
		}
	}
}
