// SPDX-License-Identifier: GPL-2.0-only
/* A test that costs nothing: the benchmark measures what surrounds it. */
#include <harness/compat.h>

static void adds_up(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 1 + 1, 2);
}

static struct kunit_case trivial_cases[] = { KUNIT_CASE(adds_up), {} };

static int trivial_open(void)
{
	return 0;
}

static void trivial_close(void)
{
}

#define trivial_NAME "bench-trivial"
HARNESS_SUITE(trivial, trivial_open, trivial_close);
MODULE_LICENSE("GPL");
