// SPDX-License-Identifier: GPL-2.0-only
/* Load: metadata operations on XFS, on a disk of its own; metadata.h has all of it. */
#include "metadata.h"

int main(int argc, char **argv)
{
	return metadata_main(argc, argv);
}
