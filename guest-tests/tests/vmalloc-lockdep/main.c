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

#include <harness/vmalloc_call.h>

#define EIGHT_MIB (8UL << 20)
#define TOO_LARGE (2 * KMALLOC_MAX_SIZE) /* for kmalloc: kvmalloc has to turn to vmalloc */

static DEFINE_MUTEX(reclaim_lock);

/* Let lockdep know that the lock is taken while the filesystem is being reclaimed from. */
static void take_lock_in_reclaim(void)
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

#define CALLS 2

/* The parameters of a case: calls, of which the second may be none. */
struct lockdep_param {
	struct vmalloc_call calls[CALLS];
};

static void expect_no_report(struct kunit *test, struct vmalloc_call call)
{
	KUNIT_EXPECT_TRUE_MSG(test, debug_locks, "lockdep is off: an earlier case made it report");
	call.gfp |= __GFP_NOWARN;
	if (vmalloc_call_run(&call)) {
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
	vmalloc_call_free(&call);
}

static void no_report(struct kunit *test)
{
	const struct lockdep_param *param = harness_param(test);
	size_t i;

	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		harness_skip(test, "the kernel has no PROVE_LOCKING");
	for (i = 0; i < CALLS && param->calls[i].alloc; i++)
		expect_no_report(test, param->calls[i]);
}

#define LOCKDEP_CASE(case_name, ...)							\
	HARNESS_CASE_PARAM(case_name, no_report, struct lockdep_param, { __VA_ARGS__ })

static struct kunit_case vmalloc_lockdep_cases[] = {
	/* Controls come first: on a kernel that makes lockdep report, it is off afterwards. */
	LOCKDEP_CASE(control_unlocked,
		     { .alloc = alloc_vmalloc, .size = PMD_SIZE, .gfp = GFP_KERNEL }),
	LOCKDEP_CASE(control_callers_scope,
		     { .alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_KERNEL,
		       .outer = PF_MEMALLOC_NOFS },
		     { .alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_KERNEL,
		       .outer = PF_MEMALLOC_NOIO }),
	LOCKDEP_CASE(nofs_lock_held,
		     { .alloc = vmalloc_locked, .size = PAGE_SIZE, .gfp = GFP_NOFS },
		     { .alloc = vmalloc_locked, .size = EIGHT_MIB, .gfp = GFP_NOFS }),
	LOCKDEP_CASE(noio_lock_held,
		     { .alloc = vmalloc_locked, .size = PAGE_SIZE, .gfp = GFP_NOIO },
		     { .alloc = vmalloc_locked, .size = EIGHT_MIB, .gfp = GFP_NOIO }),
	/* Every try is made within the bounds, not the first alone. */
	LOCKDEP_CASE(retries_lock_held,
		     { .alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_NOFS | __GFP_NOFAIL,
		       .plan = { .first = 1, .count = 3 } },
		     { .alloc = vmalloc_locked, .size = PMD_SIZE, .gfp = GFP_NOIO | __GFP_NOFAIL,
		       .plan = { .first = 1, .count = 3 } }),
	LOCKDEP_CASE(kvmalloc_lock_held,
		     { .alloc = kvmalloc_locked, .size = TOO_LARGE, .gfp = GFP_NOFS },
		     { .alloc = kvmalloc_locked, .size = TOO_LARGE, .gfp = GFP_NOIO }),
	{}
};

static int lockdep_open(void)
{
	int error = vmalloc_call_open();

	if (!error)
		take_lock_in_reclaim();
	return error;
}

#define vmalloc_lockdep_NAME "vmalloc-lockdep"
HARNESS_SUITE(vmalloc_lockdep, lockdep_open, vmalloc_call_close);
MODULE_DESCRIPTION("vmalloc with GFP_NOFS and GFP_NOIO under a lock that reclaim takes");
MODULE_LICENSE("GPL");
