// SPDX-License-Identifier: GPL-2.0-only
/*
 * One complaint of the kernel, of the kind that the parameter `kind` names, between two cases that
 * have nothing to say. The line that a splat must lead to is marked "here: <kind>".
 */
#include <harness/compat.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kmod.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>

#define provoke_NAME "provoke"

static void before(struct kunit *test)
{
}

static void after(struct kunit *test)
{
}

/* ---- crash and warning ---- */

static char *volatile nowhere;

static __always_inline void put_char(char *at)
{
	*(volatile char *)at = 'x'; /* here: null_pointer */
}

static void null_pointer(struct kunit *test)
{
	put_char(nowhere + 8);
}

static void bug(struct kunit *test)
{
	BUG_ON(!nowhere); /* here: bug */
}

static void warning(struct kunit *test)
{
	WARN_ON(!nowhere); /* here: warning */
}

/* ---- more than the log has room for ---- */

/* Let all be read that was printed until now, and nothing from here on. */
static void stop_reader(void)
{
	msleep(500);
	preempt_disable();
}

static void fill_log(void)
{
	int i;

	for (i = 0; i < 4000; i++)
		pr_info("line %d of those that take the place of what was there before\n", i);
	preempt_enable();
}

static void overrun(struct kunit *test)
{
	stop_reader();
	fill_log();
}

static void drowned_warning(struct kunit *test)
{
	stop_reader();
	WARN_ON(!nowhere); /* here: drowned_warning */
	fill_log();
}

/* ---- lockdep ---- */

static DEFINE_MUTEX(first_lock);
static DEFINE_MUTEX(second_lock);

static void lock_inversion(struct kunit *test)
{
	mutex_lock(&first_lock);
	mutex_lock(&second_lock);
	mutex_unlock(&second_lock);
	mutex_unlock(&first_lock);

	mutex_lock(&second_lock);
	mutex_lock(&first_lock); /* here: lock_inversion */
	mutex_unlock(&first_lock);
	mutex_unlock(&second_lock);
}

/* A lock that is taken in reclaim is held while memory is asked for that reclaim may be done for. */
static void reclaim_inversion(struct kunit *test)
{
	void *memory;

	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&first_lock);
	mutex_unlock(&first_lock);
	fs_reclaim_release(GFP_KERNEL);

	mutex_lock(&first_lock);
	memory = kmalloc(64, GFP_KERNEL); /* here: reclaim_inversion */
	mutex_unlock(&first_lock);
	kfree(memory);
}

/* ---- KASAN and kmemleak ---- */

static void beyond_vmalloc(struct kunit *test)
{
	volatile char *memory = vmalloc(PAGE_SIZE + 100);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, (void *)memory);
	(void)memory[PAGE_SIZE + 120]; /* here: beyond_vmalloc */
	vfree((void *)memory);
}

static void use_after_free(struct kunit *test)
{
	volatile char *memory = kmalloc(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, (void *)memory);
	kfree((void *)memory);
	(void)memory[8]; /* here: use_after_free */
}

static void leak(struct kunit *test)
{
	/* Three: a stale copy of a pointer on some stack may hide one or the other. */
	int i;

	for (i = 0; i < 3; i++) {
		char *volatile memory = kmalloc(1000, GFP_KERNEL); /* here: leak */

		KUNIT_EXPECT_NOT_ERR_OR_NULL(test, (void *)memory);
		memory = NULL;
	}
}

/* ---- no progress ---- */

static DECLARE_COMPLETION(never);

static void hung_task(struct kunit *test)
{
	wait_for_completion(&never); /* here: hung_task */
}

static void soft_lockup(struct kunit *test)
{
	unsigned long end = jiffies + 20 * HZ;

	while (time_before(jiffies, end))
		cpu_relax();
}

static void done(struct rcu_head *head)
{
}

/* Needs a second CPU: where this is the only one, no grace period begins while it spins. */
static void rcu_stall(struct kunit *test)
{
	static struct rcu_head head;
	unsigned long end = jiffies + 6 * HZ;

	call_rcu(&head, done);
	while (time_before(jiffies, end))
		cpu_relax();
	rcu_barrier();
}

/* ---- tolerated ---- */

static bool killing;

static int heed(struct notifier_block *unused, unsigned long what, void *freed)
{
	WRITE_ONCE(killing, true);
	return NOTIFY_OK;
}

/* Takes all memory until the OOM killer comes, and gives it back once it has killed. */
static void oom_kill(struct kunit *test)
{
	static char *argv[] = { "/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=8M", NULL };
	static char *envp[] = { NULL };
	static struct notifier_block heeds = { .notifier_call = heed };
	struct page *page, *next;
	LIST_HEAD(pages);

	/* Something to kill, which is worth it: PID 1 is out of the OOM killer's reach. */
	KUNIT_ASSERT_EQ(test, call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC), 0);
	msleep(500);
	register_oom_notifier(&heeds);
	while (!READ_ONCE(killing)) {
		page = alloc_page(GFP_KERNEL); /* here: oom_kill */
		if (page)
			list_add(&page->lru, &pages);
	}
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
	unregister_oom_notifier(&heeds);
}

static void page_allocation(struct kunit *test)
{
	const unsigned int order = 9;
	struct page *page, *next;
	LIST_HEAD(pages);

	do {
		page = alloc_pages(GFP_NOWAIT & ~__GFP_NOWARN, order); /* here: page_allocation */
		if (page)
			list_add(&page->lru, &pages);
	} while (page);
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_pages(page, order);
}

static void vmalloc_failure(struct kunit *test)
{
	void *memory = vmalloc(totalram_pages() * 2 * PAGE_SIZE); /* here: vmalloc_failure */

	KUNIT_EXPECT_PTR_EQ(test, memory, NULL);
	vfree(memory);
}

/* ---- which ---- */

static const struct kunit_case provocations[] = {
	KUNIT_CASE(null_pointer),
	KUNIT_CASE(bug),
	KUNIT_CASE(warning),
	KUNIT_CASE(overrun),
	KUNIT_CASE(drowned_warning),
	KUNIT_CASE(lock_inversion),
	KUNIT_CASE(reclaim_inversion),
	KUNIT_CASE(beyond_vmalloc),
	KUNIT_CASE(use_after_free),
	KUNIT_CASE(leak),
	KUNIT_CASE(hung_task),
	KUNIT_CASE(soft_lockup),
	KUNIT_CASE(rcu_stall),
	KUNIT_CASE(oom_kill),
	KUNIT_CASE(page_allocation),
	KUNIT_CASE(vmalloc_failure),
};

static struct kunit_case provoke_cases[] = {
	KUNIT_CASE(before),
	KUNIT_CASE(before), /* replaced by what is asked for */
	KUNIT_CASE(after),
	{}
};

/* The suite is read when the module's init runs; parameters are set before that. */
static int set_kind(const char *value, const struct kernel_param *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(provocations); i++) {
		if (strcmp(value, provocations[i].name))
			continue;
		provoke_cases[1] = provocations[i];
		return 0;
	}
	return -EINVAL;
}

static const struct kernel_param_ops kind_ops = { .set = set_kind };
module_param_cb(kind, &kind_ops, NULL, 0);
MODULE_PARM_DESC(kind, "the name of a case");

static int provoke_open(void)
{
	return provoke_cases[1].run_case == before ? -EINVAL : 0;
}

static void provoke_close(void)
{
}

HARNESS_SUITE(provoke, provoke_open, provoke_close);
MODULE_LICENSE("GPL");
