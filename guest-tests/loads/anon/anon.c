// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on compressed RAM (zram), so
 * that the kernel reclaims all the time: pages are swapped out, and in again when their turn
 * comes.
 */
#include "load.h"
#include "swap.h"
#include "swapped_set.h"
#include "working_set.h"

static void begin(void)
{
	unsigned long bytes = load_percent();

	working_set_begin(bytes);
	/* Room for all of it: the OOM killer comes when swap is full, whatever it could hold. */
	swap_on_zram(bytes);
}

int main(int argc, char **argv)
{
	return swapped_set_main(argc, argv, begin);
}
