// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second proof that GFP_NOFS and GFP_NOIO hold throughout vmalloc, by other means than the
 * flags of requests (vmalloc-scope): lockdep.
 *
 * A lock is taken in reclaim once, as a filesystem's would be. Whoever holds it must not enter
 * reclaim of the filesystem, and lockdep reports each request for memory that could, whether
 * memory is short or not. After its first report it goes off for good, and the cases after that
 * can see nothing: they fail as well.
 */
#include <linux/debug_locks.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>

#include <harness/memory.h>
#include <harness/vcall.h>

#define EIGHT_MIB (8UL << 20)
#define TOO_LARGE (2 * KMALLOC_MAX_SIZE) /* for kmalloc: kvmalloc has to turn to vmalloc */

static DEFINE_MUTEX(reclaim_lock);

/* What lockdep is to know: the lock is taken while the filesystem is being reclaimed from. */
static void teach(void)
{
	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&reclaim_lock);
	mutex_unlock(&reclaim_lock);
	fs_reclaim_release(GFP_KERNEL);
}

static void *vmalloc_locked(unsigned long size, gfp_t gfp)
{
	void *addr;

	mutex_lock(&reclaim_lock);
	addr = __vmalloc(size, gfp);
	mutex_unlock(&reclaim_lock);
	return addr;
}

static void *kvmalloc_locked(unsigned long size, gfp_t gfp)
{
	void *addr;

	mutex_lock(&reclaim_lock);
	addr = kvmalloc(size, gfp);
	mutex_unlock(&reclaim_lock);
	return addr;
}

static void expect_no_report(struct kunit *test, struct vcall call)
{
	KUNIT_EXPECT_TRUE_MSG(test, debug_locks, "lockdep is off: an earlier case made it report");
	call.gfp |= __GFP_NOWARN;
	if (vcall_run(&call)) {
		KUNIT_FAIL(test, "the call does not return");
		return;
	}
	kunit_info(test, "%lu KiB, gfp %#x: %s, %u page tables, %u refusals\n", call.size / 1024,
		   (__force unsigned int)call.gfp, call.addr ? "memory" : "NULL",
		   call.seen.tables, call.did.failed);
	KUNIT_EXPECT_TRUE_MSG(test, call.addr, "no memory");
	KUNIT_EXPECT_TRUE_MSG(test, debug_locks, "lockdep has reported");
	/* Without a table to build there was nothing to see. */
	KUNIT_EXPECT_GT(test, call.seen.tables, 0u);
	KUNIT_EXPECT_EQ_MSG(test, call.did.failed, call.plan.count, "not failed as often as asked");
	vcall_free(&call);
}

#define NEED_LOCKDEP(test)							\
	do {									\
		if (!IS_ENABLED(CONFIG_PROVE_LOCKING))				\
			harness_skip(test, "the kernel has no PROVE_LOCKING");	\
	} while (0)

/* These come first: on a kernel that makes lockdep report, it is off afterwards. */
static void control_unlocked(struct kunit *test)
{
	NEED_LOCKDEP(test);
	expect_no_report(test, (struct vcall){
		.alloc = alloc_vmalloc, .size = PMD_SIZE, .gfp = GFP_KERNEL,
	});
}

static void control_callers_scope(struct kunit *test)
{
	NEED_LOCKDEP(test);
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_KERNEL,
		.outer = PF_MEMALLOC_NOFS,
	});
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_KERNEL,
		.outer = PF_MEMALLOC_NOIO,
	});
}

static void nofs_lock_held(struct kunit *test)
{
	NEED_LOCKDEP(test);
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = PAGE_SIZE, .gfp = GFP_NOFS,
	});
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = EIGHT_MIB, .gfp = GFP_NOFS,
	});
}

static void noio_lock_held(struct kunit *test)
{
	NEED_LOCKDEP(test);
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = PAGE_SIZE, .gfp = GFP_NOIO,
	});
	expect_no_report(test, (struct vcall){
		.alloc = vmalloc_locked, .size = EIGHT_MIB, .gfp = GFP_NOIO,
	});
}

/* Every try is made within the bounds, not the first alone. */
static void retries_lock_held(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_NOFS, GFP_NOIO };
	size_t i;

	NEED_LOCKDEP(test);
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		expect_no_report(test, (struct vcall){
			.alloc = vmalloc_locked, .size = PMD_SIZE,
			.gfp = masks[i] | __GFP_NOFAIL,
			.plan = { .first = 1, .count = 3 },
		});
	}
}

static void kvmalloc_lock_held(struct kunit *test)
{
	NEED_LOCKDEP(test);
	expect_no_report(test, (struct vcall){
		.alloc = kvmalloc_locked, .size = TOO_LARGE, .gfp = GFP_NOFS,
	});
	expect_no_report(test, (struct vcall){
		.alloc = kvmalloc_locked, .size = TOO_LARGE, .gfp = GFP_NOIO,
	});
}

static struct kunit_case vmalloc_lockdep_cases[] = {
	KUNIT_CASE(control_unlocked),
	KUNIT_CASE(control_callers_scope),
	KUNIT_CASE(nofs_lock_held),
	KUNIT_CASE(noio_lock_held),
	KUNIT_CASE(retries_lock_held),
	KUNIT_CASE(kvmalloc_lock_held),
	{}
};

static int lockdep_open(void)
{
	int error = vcall_open();

	if (!error)
		teach();
	return error;
}

#define vmalloc_lockdep_NAME "vmalloc-lockdep"
HARNESS_SUITE(vmalloc_lockdep, lockdep_open, vcall_close);
MODULE_DESCRIPTION("vmalloc with GFP_NOFS and GFP_NOIO under a lock that reclaim takes");
MODULE_LICENSE("GPL");
