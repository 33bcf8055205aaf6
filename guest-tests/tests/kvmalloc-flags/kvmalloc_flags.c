// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmalloc falls back to vmalloc for every request that may sleep, GFP_NOFS, GFP_NOIO and
 * __GFP_NOFAIL included; for no other, and not where kmalloc can serve it.
 *
 * kmalloc is made to refuse in two ways: by asking for more than it can ever give, and by failing
 * its first allocation.
 */
#include <harness/sweep.h>

#define TOO_LARGE (2 * KMALLOC_MAX_SIZE) /* for kmalloc; the first size vmalloc has to serve */
#define SIXTEEN_PAGES (16 * PAGE_SIZE)	 /* from the page allocator */
#define TWO_PAGES (2 * PAGE_SIZE)	 /* from a slab cache */

/* kmalloc says so, loudly, if it is asked for too much without this flag. */
#define QUIET __GFP_NOWARN

/* A call in which kmalloc refuses; false if it does not return. */
static bool refused(struct kunit *test, struct vcall *call, unsigned long size, gfp_t gfp)
{
	*call = (struct vcall){
		.alloc = alloc_kvmalloc,
		.size = size,
		.gfp = gfp | QUIET,
		.plan = { .first = size < TOO_LARGE },
	};
	if (!vcall_run(call))
		return true;
	KUNIT_FAIL(test, "%lu KiB, gfp %#x: the call does not return", size / 1024,
		   (__force unsigned int)gfp);
	return false;
}

/* What holds for a call that had to fall back, and its result; it is freed. */
static void judge_fallback(struct kunit *test, struct vcall *call)
{
	kunit_info(test, "%lu KiB, gfp %#x: %s%s, %u page tables\n", call->size / 1024,
		   (__force unsigned int)call->gfp,
		   !call->addr ? "NULL" : is_vmalloc_addr(call->addr) ? "vmalloc" : "kmalloc",
		   call->injected ? ", kmalloc failed" : "", call->seen.tables);
	KUNIT_EXPECT_EQ_MSG(test, call->injected, (bool)call->plan.first,
			    "kmalloc was not made to fail");
	if (call->addr)
		KUNIT_EXPECT_TRUE_MSG(test, vcall_sound(call), "memory is not as it should be");
	/* What the fallback builds keeps to the caller's flags. */
	if (!(call->gfp & __GFP_FS))
		KUNIT_EXPECT_EQ(test, call->seen.pages_fs, 0u);
	if (!(call->gfp & __GFP_IO))
		KUNIT_EXPECT_EQ(test, call->seen.pages_io, 0u);
	KUNIT_EXPECT_EQ(test, call->scope, 0u);
	vcall_free(call);
	KUNIT_EXPECT_FALSE_MSG(test, vcall_left(call), "areas, objects or pages left");
}

static void expect_vmalloc(struct kunit *test, unsigned long size, gfp_t gfp)
{
	struct vcall call;

	if (!refused(test, &call, size, gfp))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, call.addr && is_vmalloc_addr(call.addr), "no fallback");
	judge_fallback(test, &call);
}

/*
 * The same for a request that may come to nothing, at any size: for one with __GFP_RETRY_MAYFAIL
 * the OOM killer is not called, nor those who would give memory back before it kills. That vmalloc
 * was tried shows in its requests to the page allocator; kmalloc, refused by the slab allocator,
 * has made none.
 */
static void expect_vmalloc_tried(struct kunit *test, gfp_t gfp)
{
	struct vcall call;

	if (!refused(test, &call, TWO_PAGES, gfp))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, call.addr ? is_vmalloc_addr(call.addr) : call.seen.pages,
			      "no fallback");
	judge_fallback(test, &call);
}

/*
 * What is allocated on behalf of kvmalloc keeps to its flags and to the scopes of the caller, page
 * tables included, and leaves the scopes as they were. So it does for vmalloc (vmalloc-scope).
 */
static void falls_back_in_bounds(struct kunit *test)
{
	static const gfp_t masks[] = {
		GFP_NOFS, GFP_NOFS | __GFP_NOFAIL, GFP_NOIO, GFP_NOIO | __GFP_NOFAIL,
	};
	static const unsigned int outer[] = {
		0, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks) * ARRAY_SIZE(outer); i++) {
		struct vcall call = {
			.alloc = alloc_kvmalloc,
			.size = TWO_PAGES,
			.gfp = masks[i % ARRAY_SIZE(masks)] | QUIET,
			.outer = outer[i / ARRAY_SIZE(masks)],
			.plan = { .first = 1 },
		};

		if (vcall_run(&call)) {
			KUNIT_FAIL(test, "the call does not return");
			return;
		}
		KUNIT_EXPECT_TRUE_MSG(test, is_vmalloc_addr(call.addr), "no fallback");
		if (!is_vmalloc_addr(call.addr)) {
			vcall_free(&call);
			return;
		}
		KUNIT_EXPECT_GE(test, call.seen.tables, call.expected);
		KUNIT_EXPECT_EQ_MSG(test, call.seen.pages_fs, 0u, "by way of the filesystem");
		if (!(call.gfp & __GFP_IO) || call.outer & PF_MEMALLOC_NOIO)
			KUNIT_EXPECT_EQ_MSG(test, call.seen.pages_io, 0u, "by way of I/O");
		else
			KUNIT_EXPECT_EQ_MSG(test, call.seen.tables_io, call.seen.tables,
					    "gave up I/O too");
		KUNIT_EXPECT_EQ_MSG(test, call.scope, call.outer, "scopes were changed");
		vcall_free(&call);
	}
}

static void expect_null(struct kunit *test, unsigned long size, gfp_t gfp)
{
	struct vcall call;

	if (!refused(test, &call, size, gfp))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "%lu KiB, gfp %#x: not NULL", size / 1024,
			      (__force unsigned int)gfp);
	KUNIT_EXPECT_EQ(test, call.injected, (bool)call.plan.first);
	vcall_free(&call);
}

static void falls_back_nofs(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, GFP_NOFS);
	expect_vmalloc(test, SIXTEEN_PAGES, GFP_NOFS);
	expect_vmalloc(test, TWO_PAGES, GFP_NOFS);
}

static void falls_back_noio(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, GFP_NOIO);
	expect_vmalloc(test, SIXTEEN_PAGES, GFP_NOIO);
	expect_vmalloc(test, TWO_PAGES, GFP_NOIO);
}

static void falls_back_nofs_nofail(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, GFP_NOFS | __GFP_NOFAIL);
	expect_vmalloc(test, TWO_PAGES, GFP_NOFS | __GFP_NOFAIL);
}

static void falls_back_noio_nofail(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, GFP_NOIO | __GFP_NOFAIL);
	expect_vmalloc(test, TWO_PAGES, GFP_NOIO | __GFP_NOFAIL);
}

static void falls_back_zeroed(struct kunit *test)
{
	memory_soil(TOO_LARGE);
	expect_vmalloc(test, TOO_LARGE, GFP_NOFS | __GFP_ZERO);
	expect_vmalloc(test, TWO_PAGES, GFP_NOIO | __GFP_ZERO | __GFP_NOFAIL);
}

/* What counts is that the caller may sleep: no other flag is needed, and none stands in the way. */
static void falls_back_whoever_may_sleep(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, __GFP_DIRECT_RECLAIM);
	expect_vmalloc(test, TWO_PAGES, __GFP_DIRECT_RECLAIM | __GFP_IO);
	expect_vmalloc_tried(test, GFP_NOFS | __GFP_RETRY_MAYFAIL);
	expect_vmalloc(test, TOO_LARGE, GFP_NOFS | __GFP_ACCOUNT);
}

/* The first size with a fallback. */
static void falls_back_page_and_a_byte(struct kunit *test)
{
	expect_vmalloc(test, PAGE_SIZE + 1, GFP_NOFS);
	expect_vmalloc(test, PAGE_SIZE + 1, GFP_NOIO);
	expect_vmalloc(test, PAGE_SIZE + 1, GFP_NOFS | __GFP_NOFAIL);
}

/*
 * __GFP_NOFAIL must not reach kmalloc where there is a fallback: the page allocator would try for
 * ever to find contiguous pages. That it did shows in that kmalloc cannot be made to fail.
 */
static void falls_back_kernel_nofail(struct kunit *test)
{
	expect_vmalloc(test, TWO_PAGES, GFP_KERNEL | __GFP_NOFAIL);
}

/*
 * The flag is kept by the fallback: whichever allocation inside it fails, there is memory.
 * GFP_KERNEL, which has always fallen back, is worth a look only if the others are right: where
 * vmalloc may use huge pages (5.18), it would ask for one with __GFP_NOFAIL on the base, and the
 * kernel would warn.
 */
static void falls_back_sweep(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_NOFS, GFP_NOIO, GFP_KERNEL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		struct sweep sweep = { .call = {
			.alloc = alloc_kvmalloc,
			.size = TOO_LARGE,
			.gfp = masks[i] | __GFP_NOFAIL | QUIET,
		} };
		struct sweep runs = sweep;

		/* Small pages, which it may come to, need several tables. */
		if (HARNESS_TAKES_BACK && sweep_run(test, &sweep))
			return;
		sweep_judge_nofail(test, &sweep);
		if (HARNESS_TAKES_BACK && (sweep.nulls || !sweep.injected))
			return;
		/* Of a slab's size: kmalloc is refused, and what comes after it as well. */
		runs.call.size = TWO_PAGES;
		for (runs.nth = 2; runs.nth <= 6; runs.nth++) {
			struct vcall call = runs.call;

			call.plan = (struct inject_plan){ .first = 1, .count = runs.nth };
			if (sweep_call(test, &runs, &call))
				return;
		}
		sweep_judge(test, &runs);
		sweep_judge_nofail(test, &runs);
	}
}

static void control_kernel_falls_back(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, GFP_KERNEL);
	expect_vmalloc(test, SIXTEEN_PAGES, GFP_KERNEL);
	expect_vmalloc(test, TWO_PAGES, GFP_KERNEL);
}

/* vmalloc sleeps, so a caller that must not can only get what kmalloc has. */
static void control_atomic_never(struct kunit *test)
{
	if (HARNESS_ATOMIC_VMALLOC)
		harness_skip(test, "vmalloc of this kernel can do without sleeping");
	expect_null(test, TOO_LARGE, GFP_NOWAIT);
	expect_null(test, TOO_LARGE, GFP_ATOMIC);
	expect_null(test, SIXTEEN_PAGES, GFP_NOWAIT);
	expect_null(test, TWO_PAGES, GFP_ATOMIC);
	expect_null(test, TWO_PAGES, GFP_NOWAIT | __GFP_ZERO);
	/* Nor one that only may not reclaim by itself. */
	expect_null(test, TOO_LARGE, 0);
	expect_null(test, TOO_LARGE, __GFP_IO | __GFP_FS);
	expect_null(test, TWO_PAGES, GFP_KERNEL & ~__GFP_DIRECT_RECLAIM);
}

/* kvmalloc refuses what no caller can mean, __GFP_NOFAIL or not. */
static void control_crazy_size_never(struct kunit *test)
{
	expect_null(test, INT_MAX + 1UL, GFP_KERNEL);
	expect_null(test, INT_MAX + 1UL, GFP_KERNEL | __GFP_NOFAIL);
	expect_null(test, INT_MAX + 1UL, GFP_NOFS | __GFP_NOFAIL);
}

/* Up to a page vmalloc could do no better than kmalloc. */
static void control_up_to_a_page_never(struct kunit *test)
{
	expect_null(test, PAGE_SIZE, GFP_KERNEL);
	expect_null(test, PAGE_SIZE, GFP_NOFS);
	expect_null(test, 1024, GFP_NOIO);
}

/* There kmalloc has to keep the flag: nothing comes after it. */
static void control_up_to_a_page_nofail(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS, GFP_NOIO };
	static const unsigned long sizes[] = { 64, PAGE_SIZE };
	struct vcall call;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks) * ARRAY_SIZE(sizes); i++) {
		if (!refused(test, &call, sizes[i / ARRAY_SIZE(masks)],
			     masks[i % ARRAY_SIZE(masks)] | __GFP_NOFAIL))
			return;
		KUNIT_EXPECT_TRUE_MSG(test, call.addr && !is_vmalloc_addr(call.addr), "gfp %#x",
				      (__force unsigned int)call.gfp);
		vcall_free(&call);
	}
}

static const gfp_t sleeping[] = {
	GFP_KERNEL, GFP_NOFS, GFP_NOIO,
	GFP_KERNEL | __GFP_NOFAIL, GFP_NOFS | __GFP_NOFAIL, GFP_NOIO | __GFP_NOFAIL,
};

static void control_kmalloc_first(struct kunit *test)
{
	static const unsigned long sizes[] = { 64, 1024, PAGE_SIZE, TWO_PAGES };
	size_t i, j;
	int tries;

	for (i = 0; i < ARRAY_SIZE(sleeping); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			bool vmalloced = true;

			/*
			 * An object just freed lies ready for the next request on this CPU,
			 * whatever the state of memory; should this task move to another
			 * CPU in between, try again.
			 */
			for (tries = 0; tries < 20 && vmalloced; tries++) {
				void *addr;

				kfree(kmalloc(sizes[j], GFP_KERNEL));
				addr = kvmalloc(sizes[j], sleeping[i]);
				vmalloced = !addr || is_vmalloc_addr(addr);
				kvfree(addr);
			}
			KUNIT_EXPECT_FALSE_MSG(test, vmalloced, "%lu bytes, gfp %#x", sizes[j],
					       (__force unsigned int)sleeping[i]);
		}
	}
}

static struct kunit_case kvmalloc_flags_cases[] = {
	KUNIT_CASE(falls_back_nofs),
	KUNIT_CASE(falls_back_noio),
	KUNIT_CASE(falls_back_nofs_nofail),
	KUNIT_CASE(falls_back_noio_nofail),
	KUNIT_CASE(falls_back_in_bounds),
	KUNIT_CASE(falls_back_zeroed),
	KUNIT_CASE(falls_back_whoever_may_sleep),
	KUNIT_CASE(falls_back_page_and_a_byte),
	KUNIT_CASE(falls_back_kernel_nofail),
	KUNIT_CASE(falls_back_sweep),
	KUNIT_CASE(control_kernel_falls_back),
	KUNIT_CASE(control_atomic_never),
	KUNIT_CASE(control_crazy_size_never),
	KUNIT_CASE(control_up_to_a_page_never),
	KUNIT_CASE(control_up_to_a_page_nofail),
	KUNIT_CASE(control_kmalloc_first),
	{}
};

#define kvmalloc_flags_NAME "kvmalloc-flags"
HARNESS_SUITE(kvmalloc_flags, vcall_open, vcall_close);
MODULE_DESCRIPTION("Fallback of kvmalloc to vmalloc, by gfp flags");
MODULE_LICENSE("GPL");
