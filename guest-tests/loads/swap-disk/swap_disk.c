// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on a disk. Unlike with swap on
 * compressed RAM, swapping out takes hardly any memory, but waits for the disk.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "swap.h"
#include "swapped_set.h"
#include "working_set.h"

static void begin(void)
{
	unsigned long bytes = load_percent(), room = load_available() + swap_disk_bytes();

	if (bytes > room) {
		printf("%lu MiB are more than memory and the disk have room for: %lu\n",
		       bytes >> 20, room >> 20);
		exit(2);
	}
	working_set_begin(bytes);
	swap_on_disk();
}

int main(int argc, char **argv)
{
	return swapped_set_main(argc, argv, begin);
}
