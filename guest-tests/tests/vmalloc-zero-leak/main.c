// SPDX-License-Identifier: GPL-2.0-only
/*
 * What no patch of the series may break: memory from vmalloc is zero when asked for, its own, of
 * the right size, and all of it goes back, from calls that fail half way as well.
 */
#include <harness/memory.h>
#include <harness/vmalloc_call.h>

#define LARGE_ARRAY (PMD_SIZE + PAGE_SIZE) /* its array of page pointers exceeds a page */
#define EIGHT_MIB (8UL << 20)

static const unsigned long sizes[] = { 1, PAGE_SIZE, PMD_SIZE, LARGE_ARRAY, EIGHT_MIB };

/* Nothing is made to fail here, so __GFP_NOFAIL has nothing to do: it works at each position. */
static const gfp_t masks[] = {
	GFP_KERNEL, GFP_NOFS, GFP_NOIO,
	GFP_KERNEL | __GFP_NOFAIL, GFP_NOFS | __GFP_NOFAIL, GFP_NOIO | __GFP_NOFAIL,
};

static bool have(struct kunit *test, struct vmalloc_call *call)
{
	if (vmalloc_call_run(call)) {
		KUNIT_FAIL(test, "the call does not return");
		return false;
	}
	KUNIT_EXPECT_TRUE_MSG(test, call->addr, "%lu bytes, gfp %#x: NULL", call->size,
			      (__force unsigned int)call->gfp);
	return call->addr;
}

/* Nothing of the call may be left: no area, no descriptor, no array. */
static void expect_gone(struct kunit *test, const struct vmalloc_call *call)
{
	bool left = vmalloc_call_left(call);

	KUNIT_EXPECT_FALSE_MSG(test, left, "%lu bytes, failure %u: %u areas, %u objects, %u pages",
			       call->size, call->plan.first, vmalloc_call_areas_left(call),
			       alloc_watch_objects_left(), alloc_watch_pages_left());
}

static void zeroed(struct kunit *test)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			struct vmalloc_call call = {
				.alloc = alloc_vmalloc,
				.size = sizes[i],
				.gfp = masks[j] | __GFP_ZERO,
			};

			memory_soil(sizes[i]);
			if (!have(test, &call))
				return;
			KUNIT_EXPECT_EQ_MSG(test, memory_zero_until(call.addr, call.size),
					    call.size, "gfp %#x: not zero",
					    (__force unsigned int)call.gfp);
			vmalloc_call_free(&call);
		}
	}
}

static void zeroed_to_the_page_end(struct kunit *test)
{
	struct vmalloc_call call = { .alloc = alloc_vmalloc, .size = 1, .gfp = GFP_KERNEL | __GFP_ZERO };

	memory_soil(EIGHT_MIB);
	if (!have(test, &call))
		return;
	KUNIT_EXPECT_EQ(test, memory_zero_until(call.addr, PAGE_SIZE), PAGE_SIZE);
	vmalloc_call_free(&call);
}

static void pages_own(struct kunit *test)
{
	struct vmalloc_call one = { .alloc = alloc_vmalloc, .size = PMD_SIZE, .gfp = GFP_KERNEL };
	struct vmalloc_call two = { .alloc = alloc_vmalloc, .size = LARGE_ARRAY, .gfp = GFP_NOFS };
	unsigned long at, same = 0;

	if (!have(test, &one))
		return;
	if (have(test, &two)) {
		KUNIT_EXPECT_EQ(test, memory_own_until(one.addr, one.size), one.size);
		KUNIT_EXPECT_EQ(test, memory_own_until(two.addr, two.size), two.size);
		/* The second was written last: the first must not have noticed. */
		for (at = 0; at < one.size; at += PAGE_SIZE) {
			unsigned long *word = one.addr + at;

			same += *word == (at ^ (unsigned long)one.addr);
		}
		KUNIT_EXPECT_EQ(test, same, one.size / PAGE_SIZE);
		vmalloc_call_free(&two);
	}
	vmalloc_call_free(&one);
}

static void size_right(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vmalloc_call call = {
			.alloc = alloc_vmalloc,
			.size = sizes[i],
			.gfp = GFP_KERNEL,
		};
		unsigned long pages = DIV_ROUND_UP(sizes[i], PAGE_SIZE);
		struct vm_struct *area;

		if (!have(test, &call))
			return;
		area = vmalloc_area_of(call.addr);
		KUNIT_EXPECT_TRUE(test, vmalloc_call_in_place(&call));
		KUNIT_EXPECT_TRUE(test, area);
		if (area) {
			KUNIT_EXPECT_EQ(test, get_vm_area_size(area), pages * PAGE_SIZE);
			/* A guard page follows, so that an overrun does not go unnoticed. */
			KUNIT_EXPECT_EQ(test, area->size, (pages + 1) * PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, (unsigned long)area->nr_pages, pages);
		}
		KUNIT_EXPECT_TRUE(test, vmalloc_to_page(call.addr + pages * PAGE_SIZE - 1));
		vmalloc_call_free(&call);
	}
}

static void freed(struct kunit *test)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			struct vmalloc_call call = {
				.alloc = alloc_vmalloc,
				.size = sizes[i],
				.gfp = masks[j],
			};

			if (!have(test, &call))
				return;
			/* Or what follows looks for nothing. */
			KUNIT_EXPECT_GT(test, vmalloc_call_areas_left(&call), 0u);
			KUNIT_EXPECT_GT(test, alloc_watch_objects_left(), 0u);
			KUNIT_EXPECT_GE(test, (unsigned long)alloc_watch_pages_left() << PAGE_SHIFT,
					PAGE_ALIGN(call.size));
			vmalloc_call_free(&call);
			expect_gone(test, &call);
		}
	}
}

/* Fail places spread over the whole call: descriptors, array, first and last pages, mapping. */
static void failed_call_leaves_nothing(struct kunit *test)
{
	static const unsigned int places[] = {
		1, 2, 3, 4, 5, 6, 7, 8, 100, 515, 516, 517, 518, 519,
	};
	unsigned int failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		struct vmalloc_call call = {
			.alloc = alloc_vmalloc,
			.size = LARGE_ARRAY,
			.gfp = GFP_KERNEL | __GFP_NOWARN,
			.plan = { .first = places[i] },
		};

		if (vmalloc_call_run(&call)) {
			KUNIT_FAIL(test, "the call does not return");
			return;
		}
		failed += !call.addr;
		/* A preloaded descriptor or a bulk of pages may be failed without harm. */
		KUNIT_EXPECT_TRUE(test, call.addr || call.injected);
		vmalloc_call_free(&call);
		expect_gone(test, &call);
	}
	kunit_info(test, "%u of %zu calls failed\n", failed, ARRAY_SIZE(places));
	KUNIT_EXPECT_GE(test, failed, 4u);
}

/*
 * The count of vmalloc pages belongs to the whole system, where stacks of new tasks come from
 * vmalloc, too: where many tasks come and go it may differ by accident, but what leaks is lost in
 * each try.
 */
static void page_count_balanced(struct kunit *test)
{
	static const unsigned int places[] = { 0, 2, 300, 519 };
	size_t i;
	int tries;

	if (!HARNESS_COUNT_EXACT)
		harness_skip(test, "the count is kept by CPU and not exact");
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		long before, drift, during;
		bool balanced = false;

		for (tries = 0; tries < 10 && !balanced; tries++) {
			struct vmalloc_call call = {
				.alloc = alloc_vmalloc,
				.size = LARGE_ARRAY,
				.gfp = GFP_KERNEL | __GFP_NOWARN,
				.plan = { .first = places[i] },
			};

			before = vmalloc_pages_count();
			if (vmalloc_call_run(&call)) {
				KUNIT_FAIL(test, "the call does not return");
				return;
			}
			during = vmalloc_pages_count() - before;
			balanced = !call.addr ||
				   during >= (long)(LARGE_ARRAY / PAGE_SIZE) - VMALLOC_PAGES_STRAY;
			vmalloc_call_free(&call);
			drift = vmalloc_pages_drift(before);
			balanced = balanced && !drift;
		}
		KUNIT_EXPECT_TRUE_MSG(test, balanced,
				      "failure %u: %ld pages more during the call, %ld after",
				      places[i], during, drift);
	}
}

/* vfree() and many calls: nothing grows, neither in vmalloc nor in the page allocator. */
static void repeated(struct kunit *test)
{
	int i;

	for (i = 0; i < 50; i++) {
		void *addr = __vmalloc(PMD_SIZE, masks[i % ARRAY_SIZE(masks)]);

		KUNIT_EXPECT_TRUE(test, addr);
		if (addr)
			KUNIT_EXPECT_EQ(test, memory_own_until(addr, PMD_SIZE), PMD_SIZE);
		vfree(addr);
	}
	vm_unmap_aliases();
}

static struct kunit_case vmalloc_zero_leak_cases[] = {
	KUNIT_CASE(zeroed),
	KUNIT_CASE(zeroed_to_the_page_end),
	KUNIT_CASE(pages_own),
	KUNIT_CASE(size_right),
	KUNIT_CASE(freed),
	KUNIT_CASE(failed_call_leaves_nothing),
	KUNIT_CASE(page_count_balanced),
	KUNIT_CASE(repeated),
	{}
};

#define vmalloc_zero_leak_NAME "vmalloc-zero-leak"
HARNESS_SUITE(vmalloc_zero_leak, vmalloc_call_open, vmalloc_call_close);
MODULE_DESCRIPTION("Zeroing, sizes and leaks of vmalloc");
MODULE_LICENSE("GPL");
