// SPDX-License-Identifier: GPL-2.0-only
#include "load.h"
#include "swap.h"
#include "swapped_set.h"
#include "working_set.h"

static bool on(void)
{
	return working_set_filled() && swap_moves();
}

int swapped_set_main(int argc, char **argv, void (*begin)(void))
{
	const struct load_kind kind = {
		LOAD_OF_MEMORY,
		.most = 1000,
		.begin = begin,
		.work = working_set_work,
		.on = on,
		.end = swap_off,
	};

	return load_main(&kind, argc, argv);
}
