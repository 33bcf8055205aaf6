// SPDX-License-Identifier: GPL-2.0-only
#include <linux/toy.h>

int toy_feature(void)
{
	return TOY_LIMIT + 1;
}
