// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc with __GFP_NOFAIL never fails, whichever of the allocations inside it does.
 *
 * The requests for descriptors, page array and pages carry the flag themselves and cannot fail;
 * those for page tables do not carry it, and are what a kernel without the patch returns NULL for.
 */
#include <harness/sweep.h>

#define ONE_PAGE PAGE_SIZE
#define ONE_TABLE PMD_SIZE		       /* fills one page-table page */
#define LARGE_ARRAY (PMD_SIZE + PAGE_SIZE)     /* its array of page pointers exceeds a page */
#define EIGHT_MIB (8UL << 20)

static void expect_never_null(struct kunit *test, unsigned long size, gfp_t gfp)
{
	struct sweep sweep = { .alloc = alloc_vmalloc, .size = size, .gfp = gfp };

	if (sweep_run(test, &sweep))
		return;
	KUNIT_EXPECT_EQ_MSG(test, sweep.nulls, 0u, "NULL in spite of __GFP_NOFAIL");
	/* Retries keep to the scope that the first attempt was made in. */
	if (!(gfp & __GFP_FS))
		KUNIT_EXPECT_EQ_MSG(test, sweep.tables_fs, 0u, "page tables by way of the FS");
	if (!(gfp & __GFP_IO))
		KUNIT_EXPECT_EQ_MSG(test, sweep.tables_io, 0u, "page tables by way of I/O");
}

static void nofail_one_page(struct kunit *test)
{
	expect_never_null(test, ONE_PAGE, GFP_KERNEL | __GFP_NOFAIL);
}

static void nofail_one_table(struct kunit *test)
{
	expect_never_null(test, ONE_TABLE, GFP_KERNEL | __GFP_NOFAIL);
}

static void nofail_large_array(struct kunit *test)
{
	expect_never_null(test, LARGE_ARRAY, GFP_KERNEL | __GFP_NOFAIL);
}

static void nofail_8mib(struct kunit *test)
{
	expect_never_null(test, EIGHT_MIB, GFP_KERNEL | __GFP_NOFAIL);
}

static void nofail_zeroed(struct kunit *test)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_ZERO;

	expect_never_null(test, ONE_PAGE, gfp);
	expect_never_null(test, LARGE_ARRAY, gfp);
	expect_never_null(test, EIGHT_MIB, gfp);
}

static void nofail_nofs(struct kunit *test)
{
	expect_never_null(test, ONE_PAGE, GFP_NOFS | __GFP_NOFAIL);
	expect_never_null(test, EIGHT_MIB, GFP_NOFS | __GFP_NOFAIL);
}

static void nofail_noio(struct kunit *test)
{
	expect_never_null(test, ONE_PAGE, GFP_NOIO | __GFP_NOFAIL);
	expect_never_null(test, EIGHT_MIB, GFP_NOIO | __GFP_NOFAIL);
}

/*
 * Without the flag every failure inside is a failure of the call, and leaves nothing behind. This
 * shows at each position that the sweep reaches the places it is about. Small sizes: here each
 * page is one place more.
 */
static void control_may_fail(struct kunit *test)
{
	static const unsigned long sizes[] = { ONE_PAGE, 16 * PAGE_SIZE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct sweep sweep = {
			.alloc = alloc_vmalloc,
			.size = sizes[i],
			.gfp = GFP_KERNEL | __GFP_NOWARN,
		};

		if (sweep_run(test, &sweep))
			return;
		/* Each table of the call at least; what is only a preload may fail. */
		KUNIT_EXPECT_GE_MSG(test, sweep.nulls, sweep.tables,
				    "the call succeeds although it was failed");
	}
}

/* More than there is can never be had: the flag must not turn that into an endless wait. */
static void control_impossible_size(struct kunit *test)
{
	struct vcall call = {
		.alloc = alloc_vmalloc,
		.size = (totalram_pages() + 1) << PAGE_SHIFT,
		.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN,
	};

	if (vcall_run(&call)) {
		KUNIT_FAIL(test, "a call for more than all memory does not return");
		return;
	}
	KUNIT_EXPECT_TRUE(test, !call.addr);
	vcall_free(&call);
}

static struct kunit_case vmalloc_nofail_sweep_cases[] = {
	KUNIT_CASE(nofail_one_page),
	KUNIT_CASE(nofail_one_table),
	KUNIT_CASE(nofail_large_array),
	KUNIT_CASE(nofail_8mib),
	KUNIT_CASE(nofail_zeroed),
	KUNIT_CASE(nofail_nofs),
	KUNIT_CASE(nofail_noio),
	KUNIT_CASE(control_may_fail),
	KUNIT_CASE(control_impossible_size),
	{}
};

#define vmalloc_nofail_sweep_NAME "vmalloc-nofail-sweep"
HARNESS_SUITE(vmalloc_nofail_sweep, vcall_open, vcall_close);
MODULE_DESCRIPTION("Nth-failure sweep of vmalloc with __GFP_NOFAIL");
MODULE_LICENSE("GPL");
