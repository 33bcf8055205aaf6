// SPDX-License-Identifier: GPL-2.0-only
#include <linux/toy.h>

/* As a WARN does: the image holds the file's name. */
const char *toy_file(void)
{
	return __FILE__;
}

int toy_main(void)
{
	return TOY_LIMIT;
}
