// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

int main(int argc, char **argv)
{
	return puts(argc > 1 ? argv[1] : "") < 0;
}
