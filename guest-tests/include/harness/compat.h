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

/**
 * HARNESS_CASE_PARAM() - a case of a suite that calls a function with parameters of the case's own
 * @case_name: of the case, for the report
 * @function: void (*)(struct kunit *test); it asks for harness_param()
 * @type: of the parameters
 * @...: initializer of the parameters
 *
 * 5.10 has no KUNIT_CASE_PARAM(), and where there is one its parameters are subtests of one case.
 * These are cases, on every kernel: each has a name and a verdict of its own.
 */
#define HARNESS_CASE_PARAM(case_name, function, type, ...)			\
	{									\
		.run_case = function,						\
		.name = ((const struct harness_case){				\
			.param = &(const type){ __VA_ARGS__ },			\
			.name = #case_name,					\
		}).name,							\
	}

/* KUnit keeps a pointer to the name, and nothing else of a case that could lead to parameters. */
struct harness_case {
	const void *param;
	char name[64];
};

/**
 * harness_param() - find the parameters of a case
 * @test: a case of HARNESS_CASE_PARAM()
 *
 * Return: the parameters, of the type that was given there
 */
static inline const void *harness_param(const struct kunit *test)
{
	const void *name = test->name;

	return ((const struct harness_case *)(name - offsetof(struct harness_case, name)))->param;
}

/**
 * HARNESS_SUITE() - register one suite; it goes last in the file
 * @suite: @suite##_NAME is its name, @suite##_cases its array of cases
 * @setup: int (*)(void), called before the first case: 0 or -errno
 * @teardown: void (*)(void), called after the last case
 * @...: further fields of its struct kunit_suite: .init, .exit
 *
 * Setup that fails is the test's own fault and must not look like a verdict on the kernel: no case
 * runs then. Suites have hooks for this since 5.19; before, the module runs its suite itself and
 * refuses to load.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
#define HARNESS_SUITE(suite, setup, teardown, ...)				\
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
		__VA_ARGS__							\
	};									\
	kunit_test_suites(&harness_suite)
#else
#define HARNESS_SUITE(suite, setup, teardown, ...)				\
	static struct kunit_suite harness_suite = {				\
		.name = suite##_NAME,						\
		.test_cases = suite##_cases,					\
		__VA_ARGS__							\
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

/**
 * harness_skip() - end a case that cannot run here
 * @test: the case
 * @why: said in the report
 *
 * It returns from the case's function, and must not be used deeper than that. KUnit can skip since
 * 5.14; before, a case that ends well is "ok" with its name, and the directive becomes a part of
 * the name.
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

/** harness_worker() - a kthread_worker that runs; creating one no longer starts it since 6.14 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define harness_worker(name) kthread_run_worker(0, name)
#else
#define harness_worker(name) kthread_create_worker(0, name)
#endif

/**
 * harness_vmalloc_huge() - vmalloc that may use huge mappings
 * @size: bytes
 * @gfp: flags
 *
 * It came in 5.18; earlier all memory is in small pages.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define harness_vmalloc_huge(size, gfp) vmalloc_huge(size, gfp)
#else
#define harness_vmalloc_huge(size, gfp) __vmalloc(size, gfp)
#endif

/** harness_task_state() - what a task sleeps as; renamed in 5.14 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#define harness_task_state(task) READ_ONCE((task)->__state)
#else
#define harness_task_state(task) READ_ONCE((task)->state)
#endif

/**
 * HARNESS_BULK_ARRAY - which argument of the bulk page allocator is its array
 *
 * The list before it went in 6.14.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define HARNESS_BULK_ARRAY 4
#else
#define HARNESS_BULK_ARRAY 5
#endif

/**
 * HARNESS_GIVES_UP_WHEN_KILLED - does vmalloc end early for who is being killed?
 *
 * Does __vmalloc() without __GFP_NOFAIL stop allocating pages when a fatal signal is pending? It
 * does since 5.13 (in the loop for what the bulk allocator left undone); 5.10 goes on.
 */
#define HARNESS_GIVES_UP_WHEN_KILLED (LINUX_VERSION_CODE >= KERNEL_VERSION(5, 13, 0))

/**
 * HARNESS_TAKES_BACK - are mappings undone before they are tried again?
 *
 * Is a mapping that failed half way taken back before vmalloc with __GFP_NOFAIL tries again?
 * Mainline does not (as of 7.2): the next try finds entries set, warns, and never gets any further.
 * Our series does, for 5.10 and 6.1; cases that need it have to skip on later kernels.
 */
#define HARNESS_TAKES_BACK (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

/**
 * HARNESS_HUGE_GIVES_WAY - do small pages do where huge ones find no room?
 *
 * Does vmalloc with __GFP_NOFAIL that may use huge mappings make do with small ones where no place
 * is aligned for huge ones? Mainline does not (as of 7.2): it waits for such a place, for ever if
 * need be. Our series does, for 5.10 and 6.1.
 */
#define HARNESS_HUGE_GIVES_WAY (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))

/**
 * HARNESS_BULK_MAY_INSIST - may __GFP_NOFAIL reach the bulk allocator?
 *
 * It does since 6.11; before, and in our series, it is
 * kept from it.
 */
#define HARNESS_BULK_MAY_INSIST (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0))

/**
 * HARNESS_ATOMIC_VMALLOC - can vmalloc do without sleeping?
 *
 * It can since 6.19, and kvmalloc falls back to it; cleaning up waits since.
 */
#define HARNESS_ATOMIC_VMALLOC (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0))

/**
 * HARNESS_COUNT_EXACT - is the count of vmalloc pages exact?
 *
 * harness_vmalloc_count() counts, or vmalloc_nr_pages() where that is NULL: a function of its own
 * up to 6.19, an item of the node's statistics since, which is kept by CPU and not exact at any one
 * time.
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

/** HARNESS_SCOPES - the scopes of a task in which its allocations may not reclaim freely */
#define HARNESS_SCOPES (PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO)

#endif
