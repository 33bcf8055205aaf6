// SPDX-License-Identifier: GPL-2.0-only
/* Time, and how fast this guest is. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int set_clock(uint64_t usec)
{
	const struct timespec now = { .tv_sec = usec / 1000000, .tv_nsec = usec % 1000000 * 1000 };

	return clock_settime(CLOCK_REALTIME, &now) < 0 ? errno : 0;
}

/*
 * The loop must stay as it is: the harness compares its time with the one it knows from the
 * machine that the time-outs were written for. One multiplication depends on the one before, so
 * that neither a compiler nor a wide CPU can shorten it. There are many of them to a round: QEMU's
 * TCG keeps values in registers of the host from one jump to the next, and in memory between, and
 * whether the host's CPU can hide that is a matter of luck and a factor of three.
 *
 * It is done in parts of a tenth of a millisecond, and the middle one of their times stands for all:
 * where the host runs something else for a while, a few of them have it. How busy the host is, it
 * knows better itself, and whenever it is asked.
 */
#define PARTS 64
#define ROUNDS (5000000 / 16 / PARTS)
#define STEP(x)								\
	((x) = (x) * 6364136223846793005ULL + 1442695040888963407ULL);	\
	__asm__ volatile("" : "+r"(x))
#define FOUR_STEPS(x) STEP(x); STEP(x); STEP(x); STEP(x)

static long spin(void)
{
	struct timespec from, to;
	uint64_t x = 1;
	long i;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < ROUNDS; i++) {
		FOUR_STEPS(x);
		FOUR_STEPS(x);
		FOUR_STEPS(x);
		FOUR_STEPS(x);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

long measure_spin(void)
{
	long took[PARTS];
	int i;

	for (i = 0; i < PARTS; i++)
		took[i] = spin();
	qsort(took, PARTS, sizeof(*took), by_value);
	return took[PARTS / 2] * PARTS / 1000;
}
