// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc with GFP_NOFS or GFP_NOIO enters neither filesystem nor I/O reclaim, wherever inside it
 * memory is allocated; and it leaves the scopes of the task as it found them.
 *
 * Page tables are what this is about: their allocators take no gfp flags, and without the patch
 * use GFP_KERNEL whatever the caller said.
 */
#include <harness/vmalloc_call.h>
#include <harness/vmalloc_place.h>

#define EIGHT_MIB (8UL << 20)

/* Make the call and judge what holds for every one; false if there is nothing to judge. */
static bool observe(struct kunit *test, struct vmalloc_call *call)
{
	int error = vmalloc_call_run(call);

	if (error) {
		KUNIT_FAIL(test, "the call does not return");
		return false;
	}
	kunit_info(test, "%lu KiB, gfp %#x, in scope %#x: %u page requests (FS %u, IO %u), "
		   "%u page tables (FS %u, IO %u)\n", call->size / 1024,
		   (__force unsigned int)call->gfp, call->outer, call->seen.pages,
		   call->seen.pages_fs, call->seen.pages_io, call->seen.tables,
		   call->seen.tables_fs, call->seen.tables_io);
	KUNIT_EXPECT_TRUE_MSG(test, call->addr, "no memory");
	/* Nothing seen would prove nothing. */
	KUNIT_EXPECT_GE_MSG(test, call->seen.tables, call->expected,
			    "the call found page tables that were there before");
	/* A scope that was open stays open, one that the call opened is closed. */
	KUNIT_EXPECT_EQ_MSG(test, call->scope, call->outer, "scopes of the task were changed");
	vmalloc_call_free(call);
	return true;
}

/* The parameters of a case: the call that it makes. */
#define SCOPE_CASE(case_name, function, ...)						\
	HARNESS_CASE_PARAM(case_name, function, struct vmalloc_call,			\
			   .alloc = alloc_vmalloc, __VA_ARGS__)

static void expect_no_fs(struct kunit *test, struct vmalloc_call call)
{
	if (!observe(test, &call))
		return;
	KUNIT_EXPECT_EQ_MSG(test, call.seen.pages_fs, 0u, "a request could enter the filesystem");
	/* NOFS gives up the filesystem and nothing more. */
	if (call.gfp & __GFP_IO && !(call.outer & PF_MEMALLOC_NOIO))
		KUNIT_EXPECT_EQ_MSG(test, call.seen.tables_io, call.seen.tables, "gave up I/O too");
}

static void no_fs(struct kunit *test)
{
	const struct vmalloc_call *call = harness_param(test);

	if (call->crossing && !vmalloc_place_can_cross())
		harness_skip(test, VMALLOC_PLACE_UNCROSSABLE);
	expect_no_fs(test, *call);
}

static void expect_no_io(struct kunit *test, struct vmalloc_call call)
{
	if (!observe(test, &call))
		return;
	KUNIT_EXPECT_EQ_MSG(test, call.seen.pages_fs, 0u, "a request could enter the filesystem");
	KUNIT_EXPECT_EQ_MSG(test, call.seen.pages_io, 0u, "a request could start I/O");
}

static void no_io(struct kunit *test)
{
	const struct vmalloc_call *call = harness_param(test);

	expect_no_io(test, *call);
}

/* The same said in so many words, as this is what a scope that is too narrow would break. */
static void nofs_keeps_io(struct kunit *test)
{
	struct vmalloc_call call = { .alloc = alloc_vmalloc, .size = PMD_SIZE, .gfp = GFP_NOFS };

	if (!observe(test, &call))
		return;
	KUNIT_EXPECT_EQ(test, call.seen.tables_fs, 0u);
	KUNIT_EXPECT_EQ(test, call.seen.tables_io, call.seen.tables);
}

static void control_kernel(struct kunit *test)
{
	struct vmalloc_call call = { .alloc = alloc_vmalloc, .size = EIGHT_MIB, .gfp = GFP_KERNEL };

	if (!observe(test, &call))
		return;
	KUNIT_EXPECT_EQ(test, call.seen.tables_fs, call.seen.tables);
	KUNIT_EXPECT_EQ(test, call.seen.tables_io, call.seen.tables);
}

/* The scope of the caller has always held for all that vmalloc does. */
static void control_callers_scope(struct kunit *test)
{
	static const struct {
		gfp_t gfp;
		unsigned int outer;
		void (*expect)(struct kunit *test, struct vmalloc_call call);
	} scopes[] = {
		{ GFP_KERNEL, PF_MEMALLOC_NOFS, expect_no_fs },
		{ GFP_KERNEL, PF_MEMALLOC_NOIO, expect_no_io },
		{ GFP_NOFS, PF_MEMALLOC_NOIO, expect_no_io },
		{ GFP_NOFS, PF_MEMALLOC_NOFS, expect_no_fs },
		{ GFP_NOIO, PF_MEMALLOC_NOIO, expect_no_io },
		{ GFP_KERNEL, PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO, expect_no_io },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scopes); i++) {
		scopes[i].expect(test, (struct vmalloc_call){
			.alloc = alloc_vmalloc, .size = PMD_SIZE,
			.gfp = scopes[i].gfp, .outer = scopes[i].outer,
		});
	}
}

/* Every combination, whether the call works or fails half way, leaves the task as it was. */
static void control_scopes_restored(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS, GFP_NOIO };
	static const unsigned int outer[] = {
		0, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO,
	};
	unsigned int i, nth;

	for (i = 0; i < ARRAY_SIZE(masks) * ARRAY_SIZE(outer); i++) {
		struct vmalloc_call call = {
			.alloc = alloc_vmalloc,
			.size = PAGE_SIZE,
			.gfp = masks[i / ARRAY_SIZE(outer)] | __GFP_NOWARN,
			.outer = outer[i % ARRAY_SIZE(outer)],
		};
		unsigned int failed = 0;

		/* Up to the call in which there is nothing more to fail. */
		for (nth = 1; nth < 32; nth++) {
			call.plan.first = nth;
			if (vmalloc_call_run(&call)) {
				KUNIT_FAIL(test, "the call does not return");
				return;
			}
			failed += !call.addr;
			KUNIT_EXPECT_EQ_MSG(test, call.scope, call.outer,
					    "gfp %#x in scope %#x, failure %u",
					    (__force unsigned int)call.gfp, call.outer, nth);
			vmalloc_call_free(&call);
			if (!call.injected)
				break;
		}
		KUNIT_EXPECT_FALSE(test, call.injected);
		/* At least the page and its last table: the failures got as far as the mapping. */
		KUNIT_EXPECT_GE(test, failed, 2u);
	}
}

static struct kunit_case vmalloc_scope_cases[] = {
	SCOPE_CASE(nofs_one_page, no_fs, .size = PAGE_SIZE, .gfp = GFP_NOFS),
	SCOPE_CASE(nofs_8mib, no_fs, .size = EIGHT_MIB, .gfp = GFP_NOFS),
	SCOPE_CASE(nofs_zeroed, no_fs, .size = PMD_SIZE, .gfp = GFP_NOFS | __GFP_ZERO),
	SCOPE_CASE(nofs_nofail, no_fs, .size = PMD_SIZE, .gfp = GFP_NOFS | __GFP_NOFAIL),
	KUNIT_CASE(nofs_keeps_io),
	/* Across two entries of the top-level table, each with tables of its own to build. */
	SCOPE_CASE(nofs_crossing_top_level, no_fs, .size = 2 * PMD_SIZE, .gfp = GFP_NOFS,
		   .crossing = true),
	SCOPE_CASE(noio_one_page, no_io, .size = PAGE_SIZE, .gfp = GFP_NOIO),
	SCOPE_CASE(noio_8mib, no_io, .size = EIGHT_MIB, .gfp = GFP_NOIO),
	SCOPE_CASE(noio_zeroed, no_io, .size = PMD_SIZE, .gfp = GFP_NOIO | __GFP_ZERO),
	SCOPE_CASE(noio_nofail, no_io, .size = PMD_SIZE, .gfp = GFP_NOIO | __GFP_NOFAIL),
	/* The narrower of two scopes holds. */
	SCOPE_CASE(noio_inside_nofs, no_io, .size = PMD_SIZE, .gfp = GFP_NOIO,
		   .outer = PF_MEMALLOC_NOFS),
	KUNIT_CASE(control_kernel),
	KUNIT_CASE(control_callers_scope),
	KUNIT_CASE(control_scopes_restored),
	{}
};

#define vmalloc_scope_NAME "vmalloc-scope"
HARNESS_SUITE(vmalloc_scope, vmalloc_call_open, vmalloc_call_close);
MODULE_DESCRIPTION("Reclaim scopes of vmalloc with GFP_NOFS and GFP_NOIO");
MODULE_LICENSE("GPL");
