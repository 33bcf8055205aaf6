/* SPDX-License-Identifier: GPL-2.0-only */
/* A load of one worker that keeps more anonymous memory in use than there is RAM, with swap. */
#ifndef LOADS_SWAPPED_SET_H
#define LOADS_SWAPPED_SET_H

#include "swap.h"
#include "working_set.h"

static unsigned long swapped_set_bytes;
static volatile unsigned long *swapped_set_filled;

static void swapped_set_work(unsigned int worker)
{
	(void)worker;
	working_set_keep(swapped_set_bytes, swapped_set_filled);
}

static bool swapped_set_on(void)
{
	return *swapped_set_filled && swap_moves();
}

/* In the parent, before the rest: how much it is to be. */
static void swapped_set_begin(void)
{
	swapped_set_bytes = load_percent();
	swapped_set_filled = load_shared(sizeof(*swapped_set_filled));
}

static int swapped_set_main(int argc, char **argv, void (*begin)(void))
{
	const struct load_kind kind = {
		LOAD_OF_MEMORY,
		.most = 1000,
		.begin = begin,
		.work = swapped_set_work,
		.on = swapped_set_on,
		.end = swap_off,
	};

	return load_main(&kind, argc, argv);
}

#endif
