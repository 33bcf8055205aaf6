// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc with __GFP_NOFAIL never fails, whichever of the allocations inside it does, once or many
 * times over.
 *
 * The requests for descriptors, page array and pages carry the flag themselves and cannot fail (or
 * are made up for by one that does); those for page tables do not carry it, and are what a kernel
 * without the patch returns NULL for.
 */
#include <harness/sweep.h>
#include <harness/vmalloc_place.h>

#define ONE_PAGE PAGE_SIZE
#define ONE_TABLE PMD_SIZE		       /* fills one page-table page */
#define LARGE_ARRAY (PMD_SIZE + PAGE_SIZE)     /* its array of page pointers exceeds a page */
#define EIGHT_MIB (8UL << 20)

/*
 * The largest size that works: what one table maps, where more than that cannot be taken back.
 * LARGE_ARRAY needs a second table, but its array, sent where the rest goes, lies right behind it
 * and has built that one: when the first is refused, nothing has been mapped.
 */
#define LARGEST (HARNESS_TAKES_BACK ? EIGHT_MIB : ONE_TABLE)

#define NOT_TAKEN_BACK "known in mainline: tries again without taking back what was mapped"

static void expect_never_null(struct kunit *test, struct sweep sweep)
{
	if (sweep_run(test, &sweep))
		return;
	sweep_judge_nofail(test, &sweep);
}

static struct sweep nofail(unsigned long size, gfp_t gfp, unsigned int count)
{
	return (struct sweep){
		.call = { .alloc = alloc_vmalloc, .size = size, .gfp = gfp | __GFP_NOFAIL },
		.count = count,
	};
}

#define SIZES 3

/* The parameters of a case: what is swept. */
struct nofail_param {
	gfp_t gfp;
	unsigned long sizes[SIZES]; /* those that are 0 are none */
	bool takes_back;	    /* only where a kernel takes back what was mapped */
};

static void never_null(struct kunit *test)
{
	const struct nofail_param *param = harness_param(test);
	size_t i;

	if (param->takes_back && !HARNESS_TAKES_BACK)
		harness_skip(test, NOT_TAKEN_BACK);
	for (i = 0; i < SIZES && param->sizes[i]; i++)
		expect_never_null(test, nofail(param->sizes[i], param->gfp, 1));
}

/*
 * Huge mappings, where the kernel has them for vmalloc; else the same in small pages. This is worth
 * a look only if a single page is got right: a kernel that knows nothing of the flag asks for huge
 * pages with it, and warns of that.
 */
static void nofail_huge(struct kunit *test)
{
	struct sweep page = nofail(ONE_PAGE, GFP_KERNEL, 1);
	struct sweep once = nofail(EIGHT_MIB, GFP_KERNEL, 1), often = once;

	if (!HARNESS_TAKES_BACK)
		harness_skip(test, NOT_TAKEN_BACK);
	if (sweep_run(test, &page))
		return;
	sweep_judge_nofail(test, &page);
	if (page.nulls)
		return;
	once.call.alloc = alloc_huge;
	expect_never_null(test, once);
	often.call.alloc = alloc_huge;
	often.count = 3;
	expect_never_null(test, often);
}

/*
 * Across two entries of the top-level table. What the failed half has built and not mapped must
 * not be lost from sight when the other half goes well.
 */
static void nofail_crossing_top_level(struct kunit *test)
{
	struct sweep sweep = nofail(2 * PMD_SIZE, GFP_KERNEL, 1);

	if (!HARNESS_TAKES_BACK)
		harness_skip(test, NOT_TAKEN_BACK);
	if (!vmalloc_place_can_cross())
		harness_skip(test, VMALLOC_PLACE_UNCROSSABLE);
	sweep.call.crossing = true;
	expect_never_null(test, sweep);
}

/* One retry, or two, are not enough. */
static void nofail_runs_of_failures(struct kunit *test)
{
	static const unsigned int counts[] = { 2, 5 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		expect_never_null(test, nofail(ONE_PAGE, GFP_KERNEL, counts[i]));
		expect_never_null(test, nofail(LARGE_ARRAY, GFP_NOFS, counts[i]));
		expect_never_null(test, nofail(LARGE_ARRAY, GFP_NOIO, counts[i]));
	}
}

/* Bursts of failures all over the call, from seeds that are always the same. */
static void nofail_seeded_bursts(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS | __GFP_ZERO, GFP_NOIO };
	size_t i;

	if (!HARNESS_TAKES_BACK)
		harness_skip(test, NOT_TAKEN_BACK);
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		struct sweep sweep = nofail(3 * PMD_SIZE, masks[i], 0);

		if (sweep_seeds(test, &sweep, 1 + 4 * i, 4 + 4 * i))
			return;
		sweep_judge_nofail(test, &sweep);
	}
}

/* In a scope of the caller's own, which the retries keep and the call leaves as it was. */
static void nofail_in_scope(struct kunit *test)
{
	static const unsigned int outer[] = { PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(outer); i++) {
		struct sweep sweep = nofail(ONE_TABLE, GFP_KERNEL, 2);

		sweep.call.outer = outer[i];
		if (sweep_run(test, &sweep))
			return;
		sweep_judge_nofail(test, &sweep);
		KUNIT_EXPECT_EQ(test, sweep.tables_fs, 0u);
		if (outer[i] == PF_MEMALLOC_NOIO)
			KUNIT_EXPECT_EQ(test, sweep.tables_io, 0u);
	}
}

/*
 * Who is being killed has to get the memory all the same, and waits for it asleep: a sleep that a
 * signal ends would be none.
 */
static void nofail_fatal_signal(struct kunit *test)
{
	struct sweep sweep = nofail(LARGE_ARRAY, GFP_KERNEL, 3);

	sweep.call.killed = true;
	expect_never_null(test, sweep);
}

/*
 * Without the flag every failure inside is a failure of the call, and leaves nothing behind. This
 * shows at each position that the sweep reaches the places it is about. Small sizes: here each
 * page is one place more.
 */
static void control_may_fail(struct kunit *test)
{
	static const unsigned long sizes[] = { ONE_PAGE, 16 * PAGE_SIZE };
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS, GFP_NOIO };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(masks); i++) {
		struct sweep sweep = { .call = {
			.alloc = alloc_vmalloc,
			.size = sizes[i / ARRAY_SIZE(masks)],
			.gfp = masks[i % ARRAY_SIZE(masks)] | __GFP_NOWARN,
		} };

		/* Patch 1 is about these two; here they only fail. */
		sweep.call.outer = masks[i % ARRAY_SIZE(masks)] == GFP_KERNEL ? 0 :
				   PF_MEMALLOC_NOIO;
		if (sweep_run(test, &sweep))
			return;
		/* Each table of the call at least; what is only a preload may fail. */
		KUNIT_EXPECT_GE_MSG(test, sweep.nulls, sweep.tables,
				    "the call succeeds although it was failed");
		KUNIT_EXPECT_EQ_MSG(test, sweep.sleeps, 0u, "waits although it may fail");
	}
}

/* More than there is can never be had: the flag must not turn that into an endless wait. */
static void control_impossible_size(struct kunit *test)
{
	struct vmalloc_call call = {
		.alloc = alloc_vmalloc,
		.size = (totalram_pages() + 1) << PAGE_SHIFT,
		.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN,
	};

	if (vmalloc_call_run(&call)) {
		KUNIT_FAIL(test, "a call for more than all memory does not return");
		return;
	}
	KUNIT_EXPECT_TRUE(test, !call.addr);
	KUNIT_EXPECT_EQ(test, call.did.sleeps, 0u);
	vmalloc_call_free(&call);
}

/*
 * A caller that may fail and is being killed does: it stays killable while it allocates pages.
 * What the bulk allocator left undone is where the kernel looks (the flag must not be forgotten
 * there in either direction).
 */
static void control_killed_may_fail(struct kunit *test)
{
	struct sweep sweep = { .call = {
		.alloc = alloc_vmalloc,
		.size = PAGE_SIZE, /* 7.2 looks for no signals while it tries larger blocks */
		.gfp = GFP_KERNEL | __GFP_NOWARN,
		.killed = true,
	} };
	struct sweep alive = sweep;

	if (!HARNESS_GIVES_UP_WHEN_KILLED)
		harness_skip(test, "this kernel does not look for signals while it allocates");
	alive.call.killed = false;
	if (sweep_run(test, &sweep) || sweep_run(test, &alive))
		return;
	/* Pages that the bulk allocator was refused are made up for by one who lives. */
	KUNIT_EXPECT_GT(test, sweep.nulls, alive.nulls);
}

#define NOFAIL_CASE(case_name, ...)							\
	HARNESS_CASE_PARAM(case_name, never_null, struct nofail_param, __VA_ARGS__)

static struct kunit_case vmalloc_nofail_sweep_cases[] = {
	NOFAIL_CASE(nofail_one_page, .gfp = GFP_KERNEL, .sizes = { ONE_PAGE }),
	NOFAIL_CASE(nofail_one_table, .gfp = GFP_KERNEL, .sizes = { ONE_TABLE }),
	NOFAIL_CASE(nofail_large_array, .gfp = GFP_KERNEL, .sizes = { LARGE_ARRAY }),
	NOFAIL_CASE(nofail_8mib, .gfp = GFP_KERNEL, .sizes = { EIGHT_MIB }, .takes_back = true),
	NOFAIL_CASE(nofail_zeroed, .gfp = GFP_KERNEL | __GFP_ZERO,
		    .sizes = { ONE_PAGE, LARGE_ARRAY, LARGEST }),
	NOFAIL_CASE(nofail_nofs, .gfp = GFP_NOFS, .sizes = { ONE_PAGE, LARGEST }),
	NOFAIL_CASE(nofail_noio, .gfp = GFP_NOIO, .sizes = { ONE_PAGE, LARGEST }),
	KUNIT_CASE(nofail_huge),
	KUNIT_CASE(nofail_crossing_top_level),
	KUNIT_CASE(nofail_runs_of_failures),
	KUNIT_CASE(nofail_seeded_bursts),
	KUNIT_CASE(nofail_in_scope),
	KUNIT_CASE(nofail_fatal_signal),
	KUNIT_CASE(control_may_fail),
	KUNIT_CASE(control_impossible_size),
	KUNIT_CASE(control_killed_may_fail),
	{}
};

#define vmalloc_nofail_sweep_NAME "vmalloc-nofail-sweep"
HARNESS_SUITE(vmalloc_nofail_sweep, vmalloc_call_open, vmalloc_call_close);
MODULE_DESCRIPTION("Nth-failure sweep of vmalloc with __GFP_NOFAIL");
MODULE_LICENSE("GPL");
