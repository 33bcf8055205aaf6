// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on compressed RAM (zram), so
 * that the kernel reclaims all the time: pages are swapped out, and in again when their turn
 * comes.
 */
#include "swapped_set.h"

static void begin(void)
{
	swapped_set_begin();
	/* Room for all of it: the OOM killer comes when swap is full, whatever it could hold. */
	swap_on_zram(swapped_set_bytes);
}

int main(int argc, char **argv)
{
	return swapped_set_main(argc, argv, begin);
}
