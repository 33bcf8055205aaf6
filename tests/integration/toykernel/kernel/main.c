// SPDX-License-Identifier: GPL-2.0-only
#include <linux/toy.h>

int toy_main(void)
{
	return TOY_LIMIT;
}
