// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forward progress: kernel threads in transactions, as a filesystem has them. Each adds to its set
 * with kvmalloc(GFP_NOFS | __GFP_NOFAIL) and may free nothing before the set is complete, since
 * there is no way back; together they need more than is free, and programs pay for it.
 *
 * All have to complete. A kernel can get that wrong in two ways, which are told apart: a request
 * returns NULL, or a thread goes round and round in the page allocator for a block of pages that
 * will never be there, while there are single pages enough.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>

#include <harness/compat.h>
#include <harness/held.h>
#include <harness/measure.h>
#include <harness/memory.h>
#include <harness/payers.h>
#include <harness/progress.h>
#include <harness/symbol.h>

#define THREADS 4
#define PAYERS_CALLED 8
#define PAYERS_SHARE 70 /* percent of what is free: held by payers */
#define SETS_SHARE 65	/* wanted by transactions: half of the payers at the least must go */

#define POLLS_PER_SECOND 50
#define QUIET_MS 500	 /* without a single allocation ... */
#define ROUNDS 500	 /* ... in so many rounds of reclaim, and memory free all the while: stuck */
#define ASLEEP_MS 20000	 /* without an allocation: stuck, whatever the reason */
#define PATIENCE_MS 90000 /* in all */

/* What a transaction asks for: sizes from a seed, evenly spread over the powers of two between. */
struct diet {
	void *(*alloc)(size_t size, gfp_t gfp);
	size_t least, most;
};

/* At the start of each allocation: a transaction's set is a list. */
struct item {
	struct item *next;
	size_t size;
};

static struct transaction {
	struct task_struct *task;
	const struct diet *diet;
	u64 seed;
	size_t quota, held;	/* bytes */
	struct item *set;
	unsigned int allocations;
	unsigned int bad;	/* items whose memory is not their own */
	bool null, complete, finished;
	size_t wanted;		/* size of the request under way; 0: none */
	unsigned int rounds;	/* of reclaim that it has made for it */
	u64 longest;		/* nanoseconds that a request took */
} transactions[THREADS];

static unsigned int count;
static bool stop;  /* go home with what you have */
static bool stuck; /* a thread of an earlier case is lost, and the module with it */
static atomic_t growing;
static DECLARE_WAIT_QUEUE_HEAD(moved);

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
	const struct diet *diet = self->diet;
	unsigned int doublings = ilog2(diet->most / diet->least);
	size_t low;

	self->seed = self->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	low = diet->least << (self->seed >> 33) % (doublings + 1);
	return min(low + (size_t)(self->seed >> 40) % low, diet->most);
}

/* One item more; false if that cannot be, or if the set is complete. */
static bool grow(struct transaction *self)
{
	size_t size = min(next_size(self), self->quota - self->held);
	ktime_t begun = ktime_get();
	struct item *item;

	self->complete = size < self->diet->least;
	if (self->complete || READ_ONCE(stop))
		return false;
	self->rounds = 0;
	WRITE_ONCE(self->wanted, size);
	item = self->diet->alloc(size, GFP_NOFS | __GFP_NOFAIL);
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

	while (grow(self))
		cond_resched();
	/* The worst of cases: nobody is done before all have their sets. */
	atomic_dec(&growing);
	wake_up_all(&moved);
	wait_event_idle(moved, !atomic_read(&growing) || READ_ONCE(stop));
	commit(self);
	WRITE_ONCE(self->finished, true);
	wake_up_all(&moved);
	return 0;
}

static void count_round(void *unused)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (transactions[i].task != current)
			continue;
		transactions[i].rounds++;
		progress_retry();
	}
}

static struct hook hooks[] = {
	{ .name = "mm_vmscan_direct_reclaim_begin", .probe = count_round },
};

/* ---- watching them */

enum outcome { COMPLETE, SPINS, ASLEEP, SLOW };

static bool all_finished(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!READ_ONCE(transactions[i].finished))
			return false;
	}
	return true;
}

static unsigned int allocations(void)
{
	unsigned int i, sum = 0;

	for (i = 0; i < count; i++)
		sum += READ_ONCE(transactions[i].allocations);
	return sum;
}

/* The one that has been at its request for the most rounds. */
static const struct transaction *spinner(void)
{
	const struct transaction *worst = &transactions[0];
	unsigned int i;

	for (i = 1; i < count; i++) {
		if (READ_ONCE(transactions[i].rounds) > worst->rounds)
			worst = &transactions[i];
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

static enum outcome watch_them(unsigned long *least_free)
{
	unsigned long begun = jiffies, moved_last = begun;
	unsigned int before = 0;

	*least_free = ULONG_MAX;
	while (!wait_event_timeout(moved, all_finished(), HZ / POLLS_PER_SECOND)) {
		unsigned int now = allocations(), quiet;

		if (now != before || !atomic_read(&growing)) {
			before = now;
			moved_last = jiffies;
			*least_free = ULONG_MAX;
		}
		*least_free = min(*least_free, global_zone_page_state(NR_FREE_PAGES));
		quiet = jiffies_to_msecs(jiffies - moved_last);
		/* More than the zones keep back, and than the request needs: there is memory to be had. */
		if (quiet > QUIET_MS && spinner()->rounds > ROUNDS && spinner()->wanted &&
		    *least_free > kept_back() + PFN_UP(spinner()->wanted))
			return SPINS;
		if (quiet > ASLEEP_MS)
			return ASLEEP;
		if (jiffies_to_msecs(jiffies - begun) > PATIENCE_MS)
			return SLOW;
	}
	return COMPLETE;
}

/* Give back whatever somebody could be waiting for. False: a thread still does not come back. */
static bool relieve(void)
{
	WRITE_ONCE(stop, true);
	wake_up_all(&moved);
	held_give_all();
	payers_dismiss();
	if (wait_event_timeout(moved, all_finished(), 20 * HZ))
		return true;
	stuck = true;
	__module_get(THIS_MODULE);
	return false;
}

/* ---- a case */

static int start(const struct diet *diet, unsigned long bytes)
{
	unsigned int i;

	count = clamp_t(unsigned long, bytes / (diet->most + PAGE_SIZE), 1, THREADS);
	WRITE_ONCE(stop, false);
	atomic_set(&growing, count);
	for (i = 0; i < count; i++) {
		transactions[i] = (struct transaction){
			.diet = diet, .seed = i + 1, .quota = bytes / count,
		};
		transactions[i].task = kthread_create(transaction_thread, &transactions[i],
						      "harness/%u", i);
		if (!IS_ERR(transactions[i].task))
			continue;
		while (i--)
			kthread_stop(transactions[i].task);
		return -ENOMEM;
	}
	return 0;
}

static void go(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		wake_up_process(transactions[i].task);
}

static void judge(struct kunit *test, enum outcome outcome, unsigned long least_free)
{
	const struct transaction *worst = spinner();

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

static void sum_up(struct kunit *test, unsigned long bytes, unsigned int paid)
{
	struct transaction sum = {};
	unsigned int i, nulls = 0, complete = 0;

	for (i = 0; i < count; i++) {
		nulls += transactions[i].null;
		complete += transactions[i].complete;
		sum.bad += transactions[i].bad;
		sum.held += transactions[i].held;
		sum.longest = max(sum.longest, transactions[i].longest);
	}
	measure(test, "transactions", count, "threads");
	measure(test, "complete", complete, "threads");
	measure(test, "allocations", allocations(), "requests");
	measure(test, "null", nulls, "requests");
	measure(test, "held", sum.held / 1024, "KiB");
	measure(test, "wanted", bytes / 1024, "KiB");
	measure(test, "longest", div_u64(sum.longest, 1000), "us");
	measure(test, "oom-killed", paid, "programs");
	KUNIT_EXPECT_EQ_MSG(test, nulls, 0u, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, complete, count, "transactions that are not complete");
	KUNIT_EXPECT_EQ_MSG(test, sum.bad, 0u, "memory that is not their own");
}

static void run(struct kunit *test, const struct diet *diet)
{
	unsigned long usable, bytes, least_free;
	enum outcome outcome;
	unsigned int paid;

	if (stuck) {
		KUNIT_FAIL(test, "a thread of an earlier case is still at its request");
		return;
	}
	if (payers_call(PAYERS_CALLED)) {
		KUNIT_FAIL(test, "no programs to pay");
		return;
	}
	/* Half of what is free now is what will be of use. */
	usable = global_zone_page_state(NR_FREE_PAGES) / 2;
	bytes = usable * SETS_SHARE / 100 * PAGE_SIZE;
	if (start(diet, bytes)) {
		KUNIT_FAIL(test, "no threads");
		payers_dismiss();
		return;
	}
	held_fragment();
	if (payers_fill(usable * PAYERS_SHARE / 100 / PAYERS_CALLED))
		KUNIT_FAIL(test, "the programs do not get their memory");
	paid = payers_gone();
	go();
	outcome = watch_them(&least_free);
	paid = payers_gone() - paid;
	judge(test, outcome, least_free);
	if (!relieve())
		KUNIT_FAIL(test, "and does not come back when all memory is given back");
	sum_up(test, bytes, paid);
	if (outcome == COMPLETE && !transactions[0].null)
		KUNIT_EXPECT_GE_MSG(test, paid, 1u, "nobody had to pay: there was no pressure");
}

/* Single pages and less are always to be had: any kernel keeps its promise there. */
static void control_pages(struct kunit *test)
{
	static const struct diet diet = { by_kvmalloc, 256, PAGE_SIZE };

	if (IS_ENABLED(CONFIG_KASAN))
		harness_skip(test, "what KASAN puts around an object makes slabs of blocks of pages");
	run(test, &diet);
}

/* The pressure alone makes no vmalloc in a kernel thread fail, before the series as after it. */
static void control_vmalloc(struct kunit *test)
{
	static const struct diet diet = { by_vmalloc, 2 * PAGE_SIZE, SZ_1M };

	run(test, &diet);
}

/* Blocks of which the page allocator says that it will always find them. */
static void completes_blocks(struct kunit *test)
{
	static const struct diet diet = { by_kvmalloc, PAGE_SIZE + 1, 8 * PAGE_SIZE };

	run(test, &diet);
}

/* Blocks of which it says that it may not. */
static void completes_large(struct kunit *test)
{
	static const struct diet diet = { by_kvmalloc, 8 * PAGE_SIZE + 1, SZ_1M };

	run(test, &diet);
}

/* More than kmalloc can ever serve. */
static void completes_beyond_kmalloc(struct kunit *test)
{
	static const struct diet diet = {
		by_kvmalloc, KMALLOC_MAX_SIZE + 1, KMALLOC_MAX_SIZE + PAGE_SIZE,
	};

	run(test, &diet);
}

/* All at once, as a filesystem has it. */
static void completes_mixed(struct kunit *test)
{
	static const struct diet diet = { by_kvmalloc, 256, SZ_1M };

	run(test, &diet);
}

/* ---- the suite */

static struct kunit_case vmalloc_progress_cases[] = {
	KUNIT_CASE(control_pages),
	KUNIT_CASE(control_vmalloc),
	KUNIT_CASE(completes_blocks),
	KUNIT_CASE(completes_large),
	KUNIT_CASE(completes_beyond_kmalloc),
	KUNIT_CASE(completes_mixed),
	{}
};

static int progress_open(void)
{
	int error = hooks_attach(hooks, ARRAY_SIZE(hooks));

	if (error)
		return error;
	error = payers_open("vmalloc-progress");
	if (error)
		hooks_detach(hooks, ARRAY_SIZE(hooks));
	return error;
}

static void progress_close(void)
{
	payers_close();
	if (!stuck)
		hooks_detach(hooks, ARRAY_SIZE(hooks));
}

#define vmalloc_progress_NAME "vmalloc-progress"
HARNESS_SUITE(vmalloc_progress, progress_open, progress_close);
MODULE_DESCRIPTION("Forward progress of allocations that may not fail");
MODULE_LICENSE("GPL");
