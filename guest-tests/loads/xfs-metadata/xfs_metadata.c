// SPDX-License-Identifier: GPL-2.0-only
/* Load: a storm of metadata on XFS, on a disk of its own; storm.h has all of it. */
#include "storm.h"

int main(int argc, char **argv)
{
	return storm_main(argc, argv);
}
