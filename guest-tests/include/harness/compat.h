/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that guest tests are built for: 5.10, 6.1, 6.12, 7.2. A test
 * includes this instead of <kunit/test.h> and asks for no kernel version of its own.
 */
#ifndef HARNESS_COMPAT_H
#define HARNESS_COMPAT_H

#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

/*
 * HARNESS_SUITE(suite, setup, teardown): register one suite, with a function to call before its
 * first case (int, 0 or -errno) and one after its last (void). It goes last in the file.
 *
 * Setup that fails is the test's own fault and must not look like a verdict on the kernel: no case
 * runs then. Suites have hooks for this since 5.19; before, the module runs its suite itself and
 * refuses to load.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
#define HARNESS_SUITE(suite, setup, teardown)					\
	static int harness_setup(struct kunit_suite *unused)			\
	{									\
		return setup();							\
	}									\
	static void harness_teardown(struct kunit_suite *unused)		\
	{									\
		teardown();							\
	}									\
	static struct kunit_suite harness_suite = {				\
		.name = suite##_NAME,						\
		.suite_init = harness_setup,					\
		.suite_exit = harness_teardown,					\
		.test_cases = suite##_cases,					\
	};									\
	kunit_test_suites(&harness_suite)
#else
#define HARNESS_SUITE(suite, setup, teardown)					\
	static struct kunit_suite harness_suite = {				\
		.name = suite##_NAME,						\
		.test_cases = suite##_cases,					\
	};									\
	static struct kunit_suite *harness_suites[] = { &harness_suite, NULL };	\
	static int __init harness_init(void)					\
	{									\
		int error = setup();						\
										\
		if (error)							\
			return error;						\
		error = __kunit_test_suites_init(harness_suites);		\
		teardown();							\
		return error;							\
	}									\
	static void __exit harness_exit(void)					\
	{									\
		__kunit_test_suites_exit(harness_suites);			\
	}									\
	module_init(harness_init);						\
	module_exit(harness_exit)
#endif

/*
 * harness_skip(test, "why"): end a case that cannot run here. KUnit can skip since 5.14; before,
 * a case that ends well is "ok" with its name, and the directive becomes a part of the name.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#define harness_skip(test, why) kunit_skip(test, why)
#else
#define HARNESS_SKIPS 32 /* cases of a suite that may skip */

static struct kunit_suite harness_suite;

static __maybe_unused void harness_skip_case(struct kunit *test, const char *why)
{
	static char names[HARNESS_SKIPS][160];
	static unsigned int used;
	struct kunit_case *one;

	kunit_suite_for_each_test_case((&harness_suite), one) {
		if (one->name != test->name || used == HARNESS_SKIPS)
			continue;
		scnprintf(names[used], sizeof(names[used]), "%s # SKIP %s", test->name, why);
		one->name = names[used++];
		return;
	}
	kunit_info(test, "# not run: %s", why);
}

#define harness_skip(test, why)							\
	do {									\
		harness_skip_case(test, why);					\
		return;								\
	} while (0)
#endif

/* A kthread_worker that runs; creating one no longer starts it since 6.14. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define harness_worker(name) kthread_run_worker(0, name)
#else
#define harness_worker(name) kthread_create_worker(0, name)
#endif

/* vmalloc that may use huge mappings came in 5.18; earlier all memory is in small pages. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define harness_vmalloc_huge(size, gfp) vmalloc_huge(size, gfp)
#else
#define harness_vmalloc_huge(size, gfp) __vmalloc(size, gfp)
#endif

/* What a task sleeps as; renamed in 5.14, so that nobody uses it without thought. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#define harness_task_state(task) READ_ONCE((task)->__state)
#else
#define harness_task_state(task) READ_ONCE((task)->state)
#endif

/* Which argument of the bulk page allocator is its array; the list before it went in 6.14. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define HARNESS_BULK_ARRAY 4
#else
#define HARNESS_BULK_ARRAY 5
#endif

/*
 * Does __vmalloc() without __GFP_NOFAIL stop allocating pages when a fatal signal is pending? It
 * does since 5.13 (in the loop for what the bulk allocator left undone); 5.10 goes on.
 */
#define HARNESS_GIVES_UP_WHEN_KILLED (LINUX_VERSION_CODE >= KERNEL_VERSION(5, 13, 0))

/*
 * Is a mapping that failed half way taken back before vmalloc with __GFP_NOFAIL tries again?
 * Mainline does not (as of 7.2): the next try finds entries set, warns, and never gets any further.
 * Our series does, for 5.10 and 6.1; cases that need it have to skip on later kernels.
 */
#define HARNESS_TAKES_BACK (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

/*
 * Does vmalloc with __GFP_NOFAIL that may use huge mappings make do with small ones where no place
 * is aligned for huge ones? Mainline does not (as of 7.2): it waits for such a place, for ever if
 * need be. Our series does, for 5.10 and 6.1.
 */
#define HARNESS_HUGE_GIVES_WAY (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

/*
 * May __GFP_NOFAIL reach the bulk allocator? It does since 6.11; before, and in our series, it is
 * kept from it.
 */
#define HARNESS_BULK_MAY_INSIST (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

/* vmalloc without sleeping came in 6.19, and kvmalloc falls back to it; cleaning up waits since. */
#define HARNESS_ATOMIC_VMALLOC (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0))

/*
 * The count of vmalloc pages: a function of its own up to 6.19, an item of the node's statistics
 * since, which is kept by CPU and not exact at any one time.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define HARNESS_COUNT_EXACT 0
static inline unsigned long harness_vmalloc_count(void)
{
	return global_node_page_state(NR_VMALLOC);
}
#else
#define HARNESS_COUNT_EXACT 1
#define harness_vmalloc_count NULL
#endif

/* The scopes that a task can be in, by which its allocations may not reclaim freely. */
#define HARNESS_SCOPES (PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO)

#endif
