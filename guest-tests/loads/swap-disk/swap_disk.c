// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on a disk. Unlike with swap on
 * compressed RAM, swapping out takes hardly any memory, but waits for the disk.
 */
#include "swapped_set.h"

static void begin(void)
{
	swapped_set_begin();
	swap_on_disk();
}

int main(int argc, char **argv)
{
	return swapped_set_main(argc, argv, begin);
}
