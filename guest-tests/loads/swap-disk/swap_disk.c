// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on a disk. Unlike with swap on
 * compressed RAM, swapping out takes hardly any memory, but waits for the disk.
 */
#include "swapped_set.h"

static void begin(void)
{
	unsigned long room = load_available() + swap_disk_bytes();

	swapped_set_begin();
	if (swapped_set_bytes > room) {
		printf("%lu MiB are more than memory and the disk have room for: %lu\n",
		       swapped_set_bytes >> 20, room >> 20);
		exit(2);
	}
	swap_on_disk();
}

int main(int argc, char **argv)
{
	return swapped_set_main(argc, argv, begin);
}
