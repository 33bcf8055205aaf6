// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmalloc falls back to vmalloc for every request that may sleep, GFP_NOFS, GFP_NOIO and
 * __GFP_NOFAIL included; for no other, and not where kmalloc can serve it.
 *
 * kmalloc is made to refuse in two ways: by asking for more than it can ever give, and by failing
 * its first allocation.
 */
#include <harness/memory.h>
#include <harness/sweep.h>

#define TOO_LARGE (2 * KMALLOC_MAX_SIZE) /* for kmalloc; the first size vmalloc has to serve */
#define SIXTEEN_PAGES (16 * PAGE_SIZE)	 /* from the page allocator */
#define TWO_PAGES (2 * PAGE_SIZE)	 /* from a slab cache */

/* kmalloc says so, loudly, if it is asked for too much without this flag. */
#define QUIET __GFP_NOWARN

/* A call in which kmalloc refuses; false if it does not return. */
static bool refused(struct kunit *test, struct vmalloc_call *call, unsigned long size, gfp_t gfp)
{
	*call = (struct vmalloc_call){
		.alloc = alloc_kvmalloc,
		.size = size,
		.gfp = gfp | QUIET,
		.plan = { .first = size < TOO_LARGE },
	};
	if (!vmalloc_call_run(call))
		return true;
	KUNIT_FAIL(test, "%lu KiB, gfp %#x: the call does not return", size / 1024,
		   (__force unsigned int)gfp);
	return false;
}

/* What holds for a call that had to fall back, and its result; it is freed. */
static void judge_fallback(struct kunit *test, struct vmalloc_call *call)
{
	kunit_info(test, "%lu KiB, gfp %#x: %s%s, %u page tables\n", call->size / 1024,
		   (__force unsigned int)call->gfp,
		   !call->addr ? "NULL" : is_vmalloc_addr(call->addr) ? "vmalloc" : "kmalloc",
		   call->injected ? ", kmalloc failed" : "", call->seen.tables);
	KUNIT_EXPECT_EQ_MSG(test, call->injected, (bool)call->plan.first,
			    "kmalloc was not made to fail");
	if (call->addr)
		KUNIT_EXPECT_TRUE_MSG(test, vmalloc_call_sound(call), "memory is not as it should be");
	/* What the fallback builds keeps to the caller's flags. */
	if (!(call->gfp & __GFP_FS))
		KUNIT_EXPECT_EQ(test, call->seen.pages_fs, 0u);
	if (!(call->gfp & __GFP_IO))
		KUNIT_EXPECT_EQ(test, call->seen.pages_io, 0u);
	KUNIT_EXPECT_EQ(test, call->scope, 0u);
	vmalloc_call_free(call);
	KUNIT_EXPECT_FALSE_MSG(test, vmalloc_call_left(call), "areas, objects or pages left");
}

static void expect_vmalloc(struct kunit *test, unsigned long size, gfp_t gfp)
{
	struct vmalloc_call call;

	if (gfp & __GFP_ZERO)
		memory_soil(size);
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
	struct vmalloc_call call;

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
		struct vmalloc_call call = {
			.alloc = alloc_kvmalloc,
			.size = TWO_PAGES,
			.gfp = masks[i % ARRAY_SIZE(masks)] | QUIET,
			.outer = outer[i / ARRAY_SIZE(masks)],
			.plan = { .first = 1 },
		};

		if (vmalloc_call_run(&call)) {
			KUNIT_FAIL(test, "the call does not return");
			return;
		}
		KUNIT_EXPECT_TRUE_MSG(test, is_vmalloc_addr(call.addr), "no fallback");
		if (!is_vmalloc_addr(call.addr)) {
			vmalloc_call_free(&call);
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
		vmalloc_call_free(&call);
	}
}

static void expect_null(struct kunit *test, unsigned long size, gfp_t gfp)
{
	struct vmalloc_call call;

	if (!refused(test, &call, size, gfp))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "%lu KiB, gfp %#x: not NULL", size / 1024,
			      (__force unsigned int)gfp);
	KUNIT_EXPECT_EQ(test, call.injected, (bool)call.plan.first);
	vmalloc_call_free(&call);
}

#define REQUESTS 8

/* The parameters of a case: what is asked for. */
struct kvmalloc_param {
	struct {
		unsigned long size; /* 0: no more */
		gfp_t gfp;
	} requests[REQUESTS];
};

static void falls_back(struct kunit *test)
{
	const struct kvmalloc_param *param = harness_param(test);
	size_t i;

	for (i = 0; i < REQUESTS && param->requests[i].size; i++)
		expect_vmalloc(test, param->requests[i].size, param->requests[i].gfp);
}

static void gets_null(struct kunit *test)
{
	const struct kvmalloc_param *param = harness_param(test);
	size_t i;

	for (i = 0; i < REQUESTS && param->requests[i].size; i++)
		expect_null(test, param->requests[i].size, param->requests[i].gfp);
}

static void atomic_gets_null(struct kunit *test)
{
	if (HARNESS_ATOMIC_VMALLOC)
		harness_skip(test, "vmalloc of this kernel can do without sleeping");
	gets_null(test);
}

/* What counts is that the caller may sleep: no other flag is needed, and none stands in the way. */
static void falls_back_whoever_may_sleep(struct kunit *test)
{
	expect_vmalloc(test, TOO_LARGE, __GFP_DIRECT_RECLAIM);
	expect_vmalloc(test, TWO_PAGES, __GFP_DIRECT_RECLAIM | __GFP_IO);
	expect_vmalloc_tried(test, GFP_NOFS | __GFP_RETRY_MAYFAIL);
	expect_vmalloc(test, TOO_LARGE, GFP_NOFS | __GFP_ACCOUNT);
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
			struct vmalloc_call call = runs.call;

			call.plan = (struct fault_plan){ .first = 1, .count = runs.nth };
			if (sweep_call(test, &runs, &call))
				return;
		}
		sweep_judge(test, &runs);
		sweep_judge_nofail(test, &runs);
	}
}

/* Up to a page kmalloc has to keep the flag: nothing comes after it. */
static void control_up_to_a_page_nofail(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS, GFP_NOIO };
	static const unsigned long sizes[] = { 64, PAGE_SIZE };
	struct vmalloc_call call;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks) * ARRAY_SIZE(sizes); i++) {
		if (!refused(test, &call, sizes[i / ARRAY_SIZE(masks)],
			     masks[i % ARRAY_SIZE(masks)] | __GFP_NOFAIL))
			return;
		KUNIT_EXPECT_TRUE_MSG(test, call.addr && !is_vmalloc_addr(call.addr), "gfp %#x",
				      (__force unsigned int)call.gfp);
		vmalloc_call_free(&call);
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

#define KVMALLOC_CASE(case_name, function, ...)					\
	HARNESS_CASE_PARAM(case_name, function, struct kvmalloc_param, { __VA_ARGS__ })

static struct kunit_case kvmalloc_flags_cases[] = {
	KVMALLOC_CASE(falls_back_nofs, falls_back, { TOO_LARGE, GFP_NOFS },
		      { SIXTEEN_PAGES, GFP_NOFS }, { TWO_PAGES, GFP_NOFS }),
	KVMALLOC_CASE(falls_back_noio, falls_back, { TOO_LARGE, GFP_NOIO },
		      { SIXTEEN_PAGES, GFP_NOIO }, { TWO_PAGES, GFP_NOIO }),
	KVMALLOC_CASE(falls_back_nofs_nofail, falls_back, { TOO_LARGE, GFP_NOFS | __GFP_NOFAIL },
		      { TWO_PAGES, GFP_NOFS | __GFP_NOFAIL }),
	KVMALLOC_CASE(falls_back_noio_nofail, falls_back, { TOO_LARGE, GFP_NOIO | __GFP_NOFAIL },
		      { TWO_PAGES, GFP_NOIO | __GFP_NOFAIL }),
	KUNIT_CASE(falls_back_in_bounds),
	KVMALLOC_CASE(falls_back_zeroed, falls_back, { TOO_LARGE, GFP_NOFS | __GFP_ZERO },
		      { TWO_PAGES, GFP_NOIO | __GFP_ZERO | __GFP_NOFAIL }),
	KUNIT_CASE(falls_back_whoever_may_sleep),
	/* The first size with a fallback. */
	KVMALLOC_CASE(falls_back_page_and_a_byte, falls_back, { PAGE_SIZE + 1, GFP_NOFS },
		      { PAGE_SIZE + 1, GFP_NOIO }, { PAGE_SIZE + 1, GFP_NOFS | __GFP_NOFAIL }),
	/*
	 * __GFP_NOFAIL must not reach kmalloc where there is a fallback: the page allocator would
	 * try for ever to find contiguous pages. That it did shows in that kmalloc cannot be made
	 * to fail.
	 */
	KVMALLOC_CASE(falls_back_kernel_nofail, falls_back, { TWO_PAGES, GFP_KERNEL | __GFP_NOFAIL }),
	KUNIT_CASE(falls_back_sweep),
	KVMALLOC_CASE(control_kernel_falls_back, falls_back, { TOO_LARGE, GFP_KERNEL },
		      { SIXTEEN_PAGES, GFP_KERNEL }, { TWO_PAGES, GFP_KERNEL }),
	/*
	 * vmalloc sleeps, so a caller that must not can only get what kmalloc has; nor does one fall
	 * back that only may not reclaim by itself.
	 */
	KVMALLOC_CASE(control_atomic_never, atomic_gets_null, { TOO_LARGE, GFP_NOWAIT },
		      { TOO_LARGE, GFP_ATOMIC }, { SIXTEEN_PAGES, GFP_NOWAIT },
		      { TWO_PAGES, GFP_ATOMIC }, { TWO_PAGES, GFP_NOWAIT | __GFP_ZERO },
		      { TOO_LARGE, 0 }, { TOO_LARGE, __GFP_IO | __GFP_FS },
		      { TWO_PAGES, GFP_KERNEL & ~__GFP_DIRECT_RECLAIM }),
	/* kvmalloc refuses what no caller can mean, __GFP_NOFAIL or not. */
	KVMALLOC_CASE(control_crazy_size_never, gets_null, { INT_MAX + 1UL, GFP_KERNEL },
		      { INT_MAX + 1UL, GFP_KERNEL | __GFP_NOFAIL },
		      { INT_MAX + 1UL, GFP_NOFS | __GFP_NOFAIL }),
	/* Up to a page vmalloc could do no better than kmalloc. */
	KVMALLOC_CASE(control_up_to_a_page_never, gets_null, { PAGE_SIZE, GFP_KERNEL },
		      { PAGE_SIZE, GFP_NOFS }, { 1024, GFP_NOIO }),
	KUNIT_CASE(control_up_to_a_page_nofail),
	KUNIT_CASE(control_kmalloc_first),
	{}
};

#define kvmalloc_flags_NAME "kvmalloc-flags"
HARNESS_SUITE(kvmalloc_flags, vmalloc_call_open, vmalloc_call_close);
MODULE_DESCRIPTION("Fallback of kvmalloc to vmalloc, by gfp flags");
MODULE_LICENSE("GPL");
