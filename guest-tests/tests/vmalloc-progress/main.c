// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forward progress: kernel threads in transactions, as a filesystem has them. Each adds to its set
 * with kvmalloc(GFP_NOFS | __GFP_NOFAIL) and may free nothing before the set is complete, since
 * there is no way back; together they need more than is free, and programs are killed for it.
 *
 * All have to complete. A kernel can get that wrong in two ways, which are told apart: a request
 * returns NULL, or a thread goes round and round in the page allocator for a block of pages that
 * will never be there, while there are single pages enough.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mmzone.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include <harness/compat.h>
#include <harness/measure.h>
#include <harness/memory.h>
#include <harness/oom_victims.h>
#include <harness/pinned_pages.h>
#include <harness/progress.h>
#include <harness/symbol.h>

#define THREADS 4
#define VICTIMS 8
#define VICTIMS_SHARE 70 /* percent of what is free: held by programs that may be killed */
#define SETS_SHARE 65	 /* wanted by transactions: half of the programs at the least must go */

#define POLLS_PER_SECOND 50
#define QUIET_MS 500	 /* without a single allocation ... */
#define ROUNDS 500	 /* ... in so many rounds of reclaim, and memory free all the while: stuck */
#define ASLEEP_MS 20000	 /* without an allocation: stuck, whatever the reason */
#define PATIENCE_MS 90000 /* in all */

/*
 * The parameters of a case: what a transaction asks for, sizes from a seed, evenly spread over the
 * powers of two between.
 */
struct progress_param {
	void *(*alloc)(size_t size, gfp_t gfp);
	size_t least, most;
};

/* At the start of each allocation: a transaction's set is a list. */
struct item {
	struct item *next;
	size_t size;
};

struct transaction {
	struct progress *all;
	struct task_struct *task;
	u64 seed;
	size_t quota, held;	/* bytes */
	struct item *set;
	unsigned int allocations;
	unsigned int bad;	/* items whose memory is not their own */
	bool null, complete, finished;
	size_t wanted;		/* size of the request under way; 0: none */
	unsigned int rounds;	/* of reclaim that it has made for it */
	u64 longest;		/* nanoseconds that a request took */
};

/* The state of a case. */
struct progress {
	const struct progress_param *param;
	struct transaction transactions[THREADS];
	unsigned int count;
	bool stop; /* end with what there is */
	atomic_t growing;
	wait_queue_head_t moved;
	struct hook reclaim;
};

static bool stuck; /* a thread of an earlier case is lost, and the module with it */

/* ---- a transaction */

static void *by_kvmalloc(size_t size, gfp_t gfp)
{
	return kvmalloc(size, gfp);
}

static void *by_vmalloc(size_t size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

static size_t next_size(struct transaction *self)
{
	const struct progress_param *param = self->all->param;
	unsigned int doublings = ilog2(param->most / param->least);
	size_t low;

	self->seed = self->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	low = param->least << (self->seed >> 33) % (doublings + 1);
	return min(low + (size_t)(self->seed >> 40) % low, param->most);
}

/* One item more; false if that cannot be, or if the set is complete. */
static bool grow(struct transaction *self)
{
	const struct progress_param *param = self->all->param;
	size_t size = min(next_size(self), self->quota - self->held);
	ktime_t begun = ktime_get();
	struct item *item;

	self->complete = size < param->least;
	if (self->complete || READ_ONCE(self->all->stop))
		return false;
	self->rounds = 0;
	WRITE_ONCE(self->wanted, size);
	item = param->alloc(size, GFP_NOFS | __GFP_NOFAIL);
	WRITE_ONCE(self->wanted, 0);
	progress_done_since(begun);
	self->longest = max_t(u64, self->longest, ktime_to_ns(ktime_sub(ktime_get(), begun)));
	self->null = !item;
	if (!item)
		return false;
	WRITE_ONCE(self->allocations, self->allocations + 1);
	item->next = self->set;
	item->size = size;
	self->set = item;
	/* What kmalloc rounds up to is taken from the others just the same. */
	size = size > PAGE_SIZE ? PAGE_ALIGN(size) : roundup_pow_of_two(size);
	self->held += min(size, self->quota - self->held);
	return true;
}

/* The set is complete: write to all of it, and let it go. */
static void commit(struct transaction *self)
{
	while (self->set) {
		struct item *item = self->set;
		size_t size = item->size - sizeof(*item);

		self->set = item->next;
		self->bad += memory_own_until(item + 1, size) != size;
		kvfree(item);
		cond_resched();
	}
}

static int transaction_thread(void *data)
{
	struct transaction *self = data;
	struct progress *all = self->all;

	while (grow(self))
		cond_resched();
	/* The worst of cases: nobody is done before all have their sets. */
	atomic_dec(&all->growing);
	wake_up_all(&all->moved);
	wait_event_idle(all->moved, !atomic_read(&all->growing) || READ_ONCE(all->stop));
	commit(self);
	WRITE_ONCE(self->finished, true);
	wake_up_all(&all->moved);
	return 0;
}

static void count_round(void *data)
{
	struct progress *all = data;
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		if (all->transactions[i].task != current)
			continue;
		all->transactions[i].rounds++;
		progress_retry();
	}
}

/* ---- watching them */

enum outcome { COMPLETE, SPINS, ASLEEP, SLOW };

static bool all_finished(const struct progress *all)
{
	unsigned int i;

	for (i = 0; i < all->count; i++) {
		if (!READ_ONCE(all->transactions[i].finished))
			return false;
	}
	return true;
}

static unsigned int allocations(const struct progress *all)
{
	unsigned int i, sum = 0;

	for (i = 0; i < all->count; i++)
		sum += READ_ONCE(all->transactions[i].allocations);
	return sum;
}

/* The one that has been at its request for the most rounds. */
static const struct transaction *spinner(const struct progress *all)
{
	const struct transaction *worst = &all->transactions[0];
	unsigned int i;

	for (i = 1; i < all->count; i++) {
		if (READ_ONCE(all->transactions[i].rounds) > worst->rounds)
			worst = &all->transactions[i];
	}
	return worst;
}

/*
 * What zones keep back: with no more than that free, a request waits rightly for what the programs
 * hold. Without NUMA there is one node.
 */
static unsigned long kept_back(void)
{
	struct zone *zones = NODE_DATA(first_online_node)->node_zones, *zone;
	unsigned long pages = 0;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (populated_zone(zone))
			pages += high_wmark_pages(zone);
	}
	return pages;
}

static enum outcome watch_them(struct progress *all, unsigned long *least_free)
{
	unsigned long begun = jiffies, moved_last = begun;
	unsigned int before = 0;

	*least_free = ULONG_MAX;
	while (!wait_event_timeout(all->moved, all_finished(all), HZ / POLLS_PER_SECOND)) {
		const struct transaction *worst = spinner(all);
		unsigned int now = allocations(all), quiet;

		if (now != before || !atomic_read(&all->growing)) {
			before = now;
			moved_last = jiffies;
			*least_free = ULONG_MAX;
		}
		*least_free = min(*least_free, global_zone_page_state(NR_FREE_PAGES));
		quiet = jiffies_to_msecs(jiffies - moved_last);
		/* More than the zones keep back, and than the request needs: there is memory to be had. */
		if (quiet > QUIET_MS && worst->rounds > ROUNDS && worst->wanted &&
		    *least_free > kept_back() + PFN_UP(worst->wanted))
			return SPINS;
		if (quiet > ASLEEP_MS)
			return ASLEEP;
		if (jiffies_to_msecs(jiffies - begun) > PATIENCE_MS)
			return SLOW;
	}
	return COMPLETE;
}

/* Give back whatever somebody could be waiting for. False: a thread still does not come back. */
static bool relieve(struct progress *all)
{
	WRITE_ONCE(all->stop, true);
	wake_up_all(&all->moved);
	pinned_pages_give_all();
	oom_victims_dismiss();
	if (wait_event_timeout(all->moved, all_finished(all), 20 * HZ))
		return true;
	stuck = true;
	__module_get(THIS_MODULE);
	return false;
}

/* ---- a case */

static int start(struct progress *all, unsigned long bytes)
{
	unsigned int i;

	all->count = clamp_t(unsigned long, bytes / (all->param->most + PAGE_SIZE), 1, THREADS);
	atomic_set(&all->growing, all->count);
	for (i = 0; i < all->count; i++) {
		struct transaction *one = &all->transactions[i];

		one->all = all;
		one->seed = i + 1;
		one->quota = bytes / all->count;
		one->task = kthread_create(transaction_thread, one, "harness/%u", i);
		if (!IS_ERR(one->task))
			continue;
		while (i--)
			kthread_stop(all->transactions[i].task);
		all->count = 0;
		return -ENOMEM;
	}
	for (i = 0; i < all->count; i++)
		get_task_struct(all->transactions[i].task);
	return 0;
}

static void go(struct progress *all)
{
	unsigned int i;

	for (i = 0; i < all->count; i++)
		wake_up_process(all->transactions[i].task);
}

static void judge(struct kunit *test, enum outcome outcome, unsigned long least_free)
{
	const struct transaction *worst = spinner(test->priv);

	switch (outcome) {
	case SPINS:
		KUNIT_FAIL(test, "spins in the page allocator: %u rounds for %zu bytes in vain, while %lu pages are free",
			   worst->rounds, worst->wanted, least_free);
		break;
	case ASLEEP:
		KUNIT_FAIL(test, "no progress for %u s: %u rounds for %zu bytes, %lu pages free",
			   ASLEEP_MS / 1000, worst->rounds, worst->wanted, least_free);
		break;
	case SLOW:
		KUNIT_FAIL(test, "not complete after %u s", PATIENCE_MS / 1000);
		break;
	case COMPLETE:
		break;
	}
}

static void sum_up(struct kunit *test, unsigned long bytes, unsigned int killed)
{
	const struct progress *all = test->priv;
	unsigned int i, nulls = 0, complete = 0;
	struct transaction sum = {};

	for (i = 0; i < all->count; i++) {
		const struct transaction *one = &all->transactions[i];

		nulls += one->null;
		complete += one->complete;
		sum.bad += one->bad;
		sum.held += one->held;
		sum.longest = max(sum.longest, one->longest);
	}
	measure(test, "transactions", all->count, "threads");
	measure(test, "complete", complete, "threads");
	measure(test, "allocations", allocations(all), "requests");
	measure(test, "null", nulls, "requests");
	measure(test, "held", sum.held / 1024, "KiB");
	measure(test, "wanted", bytes / 1024, "KiB");
	measure(test, "longest", div_u64(sum.longest, 1000), "us");
	measure(test, "oom-killed", killed, "programs");
	KUNIT_EXPECT_EQ_MSG(test, nulls, 0u, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, complete, all->count, "transactions that are not complete");
	KUNIT_EXPECT_EQ_MSG(test, sum.bad, 0u, "memory that is not their own");
}

static void completes(struct kunit *test)
{
	unsigned long usable, bytes, least_free;
	struct progress *all = test->priv;
	enum outcome outcome;
	unsigned int killed;

	if (stuck) {
		KUNIT_FAIL(test, "a thread of an earlier case is still at its request");
		return;
	}
	all->param = harness_param(test);
	if (oom_victims_start(VICTIMS)) {
		KUNIT_FAIL(test, "no programs for the OOM killer");
		return;
	}
	/* Half of what is free now is what will be of use. */
	usable = global_zone_page_state(NR_FREE_PAGES) / 2;
	bytes = usable * SETS_SHARE / 100 * PAGE_SIZE;
	if (start(all, bytes)) {
		KUNIT_FAIL(test, "no threads");
		oom_victims_dismiss();
		return;
	}
	pinned_pages_fragment();
	if (oom_victims_fill(usable * VICTIMS_SHARE / 100 / VICTIMS))
		KUNIT_FAIL(test, "the programs do not get their memory");
	killed = oom_victims_gone();
	go(all);
	outcome = watch_them(all, &least_free);
	killed = oom_victims_gone() - killed;
	judge(test, outcome, least_free);
	if (!relieve(all))
		KUNIT_FAIL(test, "and does not come back when all memory is given back");
	sum_up(test, bytes, killed);
	if (outcome == COMPLETE && !all->transactions[0].null)
		KUNIT_EXPECT_GE_MSG(test, killed, 1u, "nobody was killed: there was no pressure");
}

static void completes_without_kasan(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_KASAN))
		harness_skip(test, "what KASAN puts around an object makes slabs of blocks of pages");
	completes(test);
}

static int progress_init(struct kunit *test)
{
	struct progress *all = kzalloc(sizeof(*all), GFP_KERNEL);
	int error;

	if (!all)
		return -ENOMEM;
	init_waitqueue_head(&all->moved);
	all->reclaim = (struct hook){
		.name = "mm_vmscan_direct_reclaim_begin", .probe = count_round, .data = all,
	};
	error = hooks_attach(&all->reclaim, 1);
	if (error)
		kfree(all);
	else
		test->priv = all;
	return error;
}

static void progress_exit(struct kunit *test)
{
	struct progress *all = test->priv;
	unsigned int i;

	/* A thread that is lost still looks at it. */
	if (!all || stuck)
		return;
	for (i = 0; i < all->count; i++) {
		kthread_stop(all->transactions[i].task);
		put_task_struct(all->transactions[i].task);
	}
	hooks_detach(&all->reclaim, 1);
	kfree(all);
}

/* ---- the suite */

#define PROGRESS_CASE(case_name, function, ...)						\
	HARNESS_CASE_PARAM(case_name, function, struct progress_param, __VA_ARGS__)

static struct kunit_case vmalloc_progress_cases[] = {
	/* Single pages and less are always to be had: any kernel keeps its promise there. */
	PROGRESS_CASE(control_pages, completes_without_kasan, by_kvmalloc, 256, PAGE_SIZE),
	/* The pressure alone makes no vmalloc in a kernel thread fail, before the series or after. */
	PROGRESS_CASE(control_vmalloc, completes, by_vmalloc, 2 * PAGE_SIZE, SZ_1M),
	/* Blocks of which the page allocator says that it will always find them. */
	PROGRESS_CASE(completes_blocks, completes, by_kvmalloc, PAGE_SIZE + 1, 8 * PAGE_SIZE),
	/* Blocks of which it says that it may not. */
	PROGRESS_CASE(completes_large, completes, by_kvmalloc, 8 * PAGE_SIZE + 1, SZ_1M),
	/* More than kmalloc can ever serve. */
	PROGRESS_CASE(completes_beyond_kmalloc, completes, by_kvmalloc, KMALLOC_MAX_SIZE + 1,
		      KMALLOC_MAX_SIZE + PAGE_SIZE),
	/* All at once, as a filesystem has it. */
	PROGRESS_CASE(completes_mixed, completes, by_kvmalloc, 256, SZ_1M),
	{}
};

static int progress_open(void)
{
	return oom_victims_open("vmalloc-progress");
}

#define vmalloc_progress_NAME "vmalloc-progress"
HARNESS_SUITE(vmalloc_progress, progress_open, oom_victims_close, .init = progress_init,
	      .exit = progress_exit);
MODULE_DESCRIPTION("Forward progress of allocations that may not fail");
MODULE_LICENSE("GPL");
