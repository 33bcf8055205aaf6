// SPDX-License-Identifier: GPL-2.0-only
/*
 * When does an allocation that may reclaim fail at all? Memory has run out, programs hold the rest
 * of it, and requests are made with several flags by a kernel thread, by a program, and by a
 * program that the OOM killer has chosen while it was inside the kernel. How many get NULL is
 * counted, and judged only where there is a promise:
 *
 * - pages one by one, and vmalloc of them, without limits to the retries (__GFP_RETRY_MAYFAIL):
 *   "too small to fail" for whoever is not to die;
 * - everything with __GFP_NOFAIL, whoever it is: what the series adds for vmalloc.
 */
#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mmzone.h>
#include <linux/oom.h>

#include <harness/compat.h>
#include <harness/held.h>
#include <harness/measure.h>
#include <harness/payers.h>
#include <harness/progress.h>
#include <harness/symbol.h>
#include <harness/vcall.h>

#define FUSES 4		/* payers that are only there lest the OOM killer find nobody */
#define TRIES 4		/* for a row to be made while memory is short */
#define NULLS_ENOUGH 8	/* of one kind: more say nothing new */

/*
 * A row of requests that takes longer is stuck. This is for guests that are very slow: as a rule the
 * host, which knows how fast the guest is, says so long before.
 */
#define QUIET_SECONDS 60
#define SECONDS 120

/* What zones keep from all but a few; half of it from OOM victims, too. Without NUMA: one node. */
static unsigned long reserve_pages(void)
{
	struct zone *zones = NODE_DATA(first_online_node)->node_zones, *zone;
	unsigned long pages = 0;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (populated_zone(zone))
			pages += zone->_watermark[WMARK_MIN];
	}
	return pages;
}

/*
 * What a payer holds: a share of RAM, but no more than brings the zones far above what they keep, or
 * filling payers takes minutes where RAM is large. A row of requests wants half of it.
 */
static unsigned long payer_pages(void)
{
	return min(totalram_pages() / 32, 4 * reserve_pages());
}

/* Far below the watermarks, an OOM victim's included. The reserve grows by the root of RAM only. */
static unsigned long next_to_nothing(void)
{
	return min(totalram_pages() / 512, reserve_pages() / 8);
}

/* Nobody left to be killed is a panic. */
static bool few_left(void)
{
	return payers_count - payers_gone() < FUSES;
}

/*
 * Memory runs out. Of what is free now, and no more: whoever needs a page meanwhile, PID 1 for
 * one, has a payer killed, and what that one held must not be taken as well, or all of them pay
 * before the first request is made.
 */
static void run_out(void)
{
	if (READ_ONCE(bounded_stuck))
		return; /* the case is over, and what was held has been given back */
	if (few_left())
		held_give_all();
	else
		held_take_some(global_zone_page_state(NR_FREE_PAGES), next_to_nothing(),
			       __GFP_MEMALLOC);
}

/* ---- a row of requests of one kind */

static void *by_kmalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

static void *by_vmalloc(size_t size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

static const struct way {
	const char *name;
	void *(*alloc)(size_t size, gfp_t gfp);
	size_t size;
	bool promised; /* to whoever is not to die, without further flags */
} ways[] = {
	{ "page", by_kmalloc, PAGE_SIZE, true },
	{ "vmalloc", by_vmalloc, 16 * PAGE_SIZE, true },
	/* The largest that kmalloc tries again and again for is 8 pages. */
	{ "block", by_kmalloc, 32 * PAGE_SIZE, false },
};

static const struct mask {
	const char *name;
	gfp_t gfp;
} masks[] = {
	{ "GFP_KERNEL", GFP_KERNEL },
	{ "GFP_NOFS", GFP_NOFS },
	{ "GFP_NOIO", GFP_NOIO },
	{ "GFP_KERNEL|__GFP_RETRY_MAYFAIL", GFP_KERNEL | __GFP_RETRY_MAYFAIL },
	{ "GFP_KERNEL|__GFP_NOFAIL", GFP_KERNEL | __GFP_NOFAIL },
	{ "GFP_NOFS|__GFP_NOFAIL", GFP_NOFS | __GFP_NOFAIL },
};

static struct row {
	unsigned int requests, nulls;
	u64 longest; /* nanoseconds */
} rows[ARRAY_SIZE(ways)][ARRAY_SIZE(masks)];

static unsigned int moves; /* changes whenever a request is over */

static void request_over(ktime_t begun)
{
	progress_done_since(begun);
	WRITE_ONCE(moves, moves + 1);
}

struct got {
	struct got *next;
};

static void let_go(struct got *got)
{
	while (got) {
		struct got *next = got->next;

		kvfree(got);
		got = next;
	}
}

/* Make requests until they have got half of what a payer holds, or NULL several times. */
static void make_row(const struct way *way, const struct mask *mask, struct row *row)
{
	unsigned long want = payer_pages() / 2 * PAGE_SIZE, have = 0;
	struct got *all = NULL;

	while (have < want && row->nulls < NULLS_ENOUGH) {
		struct got *got;
		ktime_t begun;

		if (few_left())
			held_give_all();
		begun = ktime_get();
		got = way->alloc(way->size, mask->gfp | __GFP_NOWARN);
		row->longest = max_t(u64, row->longest, ktime_to_ns(ktime_sub(ktime_get(), begun)));
		request_over(begun);
		row->requests++;
		row->nulls += !got;
		if (!got)
			continue;
		got->next = all;
		all = got;
		have += way->size;
	}
	let_go(all);
}

/* Nobody may insist on blocks: that need never end. */
static bool makes_sense(const struct way *way, const struct mask *mask)
{
	return way->promised || !(mask->gfp & __GFP_NOFAIL);
}

static void report_rows(struct kunit *test, const struct way *way)
{
	const struct row *row = rows[way - ways];
	char name[80], unit[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		if (!row[i].requests)
			continue;
		scnprintf(name, sizeof(name), "%s:%s:null", way->name, masks[i].name);
		scnprintf(unit, sizeof(unit), "of %u requests", row[i].requests);
		measure(test, name, row[i].nulls, unit);
		scnprintf(name, sizeof(name), "%s:%s:longest", way->name, masks[i].name);
		measure(test, name, div_u64(row[i].longest, 1000), "us");
	}
}

/* ---- the OOM killer, called off */

/*
 * While memory has to stay short nobody is killed. A victim that asks for memory does not get the
 * next one killed as long as its own has not been reaped: out_of_memory() says that all is under way.
 * Let that last, for whoever asks: what PID 1 needs, to read the report of one kill, is another kill.
 */
static bool oom_called_off;

static int oom_call(struct kprobe *probe, struct pt_regs *regs)
{
	if (!READ_ONCE(oom_called_off))
		return 0;
	probe_return(regs, true);
	return 1;
}

static void oom_call_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe oom_probe = { .post_handler = oom_call_after };

/* ---- a program inside the kernel */

static void (*call_work)(void);
static unsigned long call_pages; /* that it holds itself; not 0: the OOM killer's first choice */
static bool call_go;
static unsigned int call_round; /* payers_lock; who was called in an earlier one leaves */
static DECLARE_COMPLETION(call_there);
static DECLARE_COMPLETION(call_done);
static struct task_struct *call_task;

static bool call_enter(unsigned int round)
{
	bool called;

	spin_lock(&payers_lock);
	called = round == call_round && !call_task;
	if (called)
		call_task = get_task_struct(current);
	spin_unlock(&payers_lock);
	return called;
}

static ssize_t call_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	unsigned int round;
	int error = kstrtouint_from_user(text, count, 10, &round);

	if (error)
		return error;
	if (!call_enter(round))
		return -EBUSY; /* nobody has called it, or not now */
	current->signal->oom_score_adj = call_pages ? OOM_SCORE_ADJ_MAX : 0;
	if (call_pages)
		payer_touch(call_pages);
	complete(&call_there);
	for (;;) {
		wait_event_idle(payers_wait, smp_load_acquire(&call_go) ||
				READ_ONCE(call_round) != round);
		if (READ_ONCE(call_round) != round)
			return count;
		WRITE_ONCE(call_go, false);
		call_work();
		complete(&call_done);
	}
}

static const struct file_operations call_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = call_write,
};

/* Start a program that does @work whenever it is let go. Ends with call_end(), whatever is returned. */
static int call_program(void (*work)(void), unsigned long pages)
{
	int error;

	call_work = work;
	call_pages = pages;
	call_go = false;
	reinit_completion(&call_there);
	reinit_completion(&call_done);
	error = payers_shell("call", call_round);
	if (!error && !wait_for_completion_timeout(&call_there, PAYERS_PATIENCE))
		error = -ETIMEDOUT;
	return error;
}

/* In the worker: let it work, and wait for it. */
static void call_let_go(void)
{
	smp_store_release(&call_go, true);
	wake_up_all(&payers_wait);
	wait_for_completion(&call_done);
}

/* Send it away. If it is not there yet, it is too late. */
static void call_end(void)
{
	unsigned long until = jiffies + PAYERS_PATIENCE;
	struct task_struct *task;

	spin_lock(&payers_lock);
	WRITE_ONCE(call_round, call_round + 1);
	task = call_task;
	call_task = NULL;
	spin_unlock(&payers_lock);
	wake_up_all(&payers_wait);
	while (task && !READ_ONCE(task->exit_state) && time_before(jiffies, until))
		msleep(10);
	if (task)
		put_task_struct(task);
}

/* ---- a case */

static unsigned int killed; /* payers that are no longer counted among those there are */

/* Programs that hold their memory, and one that does @work if that is not NULL. */
static bool case_begin(struct kunit *test, void (*work)(void), unsigned long pages)
{
	if (bounded_stuck) {
		KUNIT_FAIL(test, "a request of an earlier case has not come back");
		return false;
	}
	memset(rows, 0, sizeof(rows));
	killed = 0;
	if (!payers_call(PAYERS)) {
		WRITE_ONCE(payers_rest, true);
		if (!work || !call_program(work, pages)) {
			if (!payers_fill(payer_pages()))
				return true;
		}
		payers_dismiss();
		call_end();
	}
	KUNIT_FAIL(test, "programs do not start, or do not get their memory");
	return false;
}

/* None has been killed; else there are new ones, so that no row begins with few. */
static bool all_payers(struct kunit *test)
{
	if (!payers_gone())
		return true;
	killed += payers_gone();
	/* What they held is free. Some more, lest anybody has to pay for starting them. */
	held_give(4 * payer_pages());
	payers_dismiss();
	if (!payers_call(PAYERS)) {
		WRITE_ONCE(payers_rest, true);
		if (!payers_fill(payer_pages()))
			return true;
	}
	KUNIT_FAIL(test, "programs do not start, or do not get their memory");
	return false;
}

/* In the worker, or in the program. */
static int in_time(void (*function)(void), void (*meanwhile)(void))
{
	const struct bounded bounded = {
		.function = function,
		.progress = &moves,
		.quiet_seconds = QUIET_SECONDS,
		.seconds = SECONDS,
		.meanwhile = meanwhile,
	};

	return bounded_run(&bounded);
}

/* What a request that does not come back may still look at stays as it is. */
static void case_end(struct kunit *test)
{
	WRITE_ONCE(oom_called_off, false);
	held_give_all();
	measure(test, "oom-killed", killed + payers_gone(), "programs");
	if (bounded_stuck) {
		KUNIT_FAIL(test, "a request does not come back");
		return;
	}
	payers_dismiss();
	call_end();
}

/* ---- cases: whoever is not to die */

static const struct way *way_now;
static const struct mask *mask_now;

static struct row *row_of(const struct way *way, const struct mask *mask)
{
	return &rows[way - ways][mask - masks];
}

static void make_row_now(void)
{
	make_row(way_now, mask_now, row_of(way_now, mask_now));
}

/* Those who are promised pages have somebody killed for them. Others have to do without. */
static bool may_kill(const struct way *way, const struct mask *mask)
{
	return way->promised && !(mask->gfp & __GFP_RETRY_MAYFAIL);
}

/* A row of requests where memory has run out; false if there is nothing to judge. */
static bool run_row(struct kunit *test, const struct way *way, const struct mask *mask, bool program)
{
	struct row *row = row_of(way, mask);
	bool kill = may_kill(way, mask);
	unsigned int tries;
	int error;

	way_now = way;
	mask_now = mask;
	for (tries = 0; tries < TRIES; tries++) {
		if (!all_payers(test))
			return false;
		*row = (struct row){};
		run_out();
		/* Who may enter the filesystem calls the OOM killer himself. */
		WRITE_ONCE(payers_rest, !kill || mask->gfp & __GFP_FS);
		WRITE_ONCE(oom_called_off, !kill);
		error = in_time(program ? call_let_go : make_row_now, NULL);
		WRITE_ONCE(oom_called_off, false);
		WRITE_ONCE(payers_rest, true);
		if (error)
			return false;
		/* Was memory short? If not, somebody has given some back meanwhile. */
		if (row->nulls || (kill && payers_gone()))
			return true;
	}
	held_give_all();
	KUNIT_FAIL(test, "%s with %s: memory was not short", way->name, mask->name);
	return false;
}

static bool run_all_rows(struct kunit *test, bool program)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			if (makes_sense(&ways[i], &masks[j]) &&
			    !run_row(test, &ways[i], &masks[j], program))
				return false;
		}
	}
	return true;
}

static void run_rows(struct kunit *test, bool program)
{
	size_t i, j;
	bool complete;

	if (!case_begin(test, program ? make_row_now : NULL, 0))
		return;
	complete = run_all_rows(test, program);
	case_end(test);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		report_rows(test, &ways[i]);
		for (j = 0; complete && j < ARRAY_SIZE(masks); j++) {
			if (!ways[i].promised || masks[j].gfp & __GFP_RETRY_MAYFAIL)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, rows[i][j].nulls, 0u, "%s with %s", ways[i].name,
					    masks[j].name);
			KUNIT_EXPECT_GE(test, rows[i][j].requests, 1u);
		}
	}
}

static void control_kernel_thread(struct kunit *test)
{
	run_rows(test, false);
}

static void control_program(struct kunit *test)
{
	run_rows(test, true);
}

/* ---- cases: a program that the OOM killer chose */

#define VICTIM_CALLS 12

static bool victim_chosen;

/* What it gets with __GFP_NOFAIL, of each kind of request VICTIM_CALLS. */
static struct insisting {
	const struct mask mask;
	struct row page, vmalloc;
	unsigned int waited; /* calls of vmalloc that had to sleep */
	void *addr[VICTIM_CALLS];
} insisting[] = {
	{ .mask = { "GFP_KERNEL", GFP_KERNEL | __GFP_NOFAIL } },
	{ .mask = { "GFP_NOFS", GFP_NOFS | __GFP_NOFAIL } },
};

/* Ask for pages until the OOM killer comes. It takes the one that has the most: this one. */
static void become_victim(void)
{
	unsigned long until = jiffies + PAYERS_PATIENCE;
	struct got *all = NULL;
	unsigned int tries;

	for (tries = 0; tries < 4 * payer_pages() && !tsk_is_oom_victim(current); tries++) {
		ktime_t begun = ktime_get();
		struct got *got = (void *)__get_free_page(GFP_KERNEL);

		if (!got)
			break;
		got->next = all;
		all = got;
		request_over(begun);
	}
	while (all) {
		struct got *next = all->next;

		free_page((unsigned long)all);
		all = next;
	}
	/* What it held is free as soon as it is reaped; then memory runs out once more. */
	while (tsk_is_oom_victim(current) && time_before(jiffies, until)) {
		victim_chosen = get_mm_counter(current->mm, MM_ANONPAGES) < call_pages / 2;
		if (victim_chosen)
			break;
		msleep(10);
	}
	msleep(50);
}

/* What somebody gives back meanwhile ends the shortage. Then the row does not count. */
static void starve_now(void)
{
	struct row *row = row_of(way_now, mask_now);
	unsigned int tries;

	for (tries = 0; tries < TRIES && !row->nulls; tries++) {
		*row = (struct row){};
		run_out();
		make_row(way_now, mask_now, row);
	}
}

static bool insist_on_page(struct insisting *insisting)
{
	ktime_t begun = ktime_get();
	void *page = kmalloc(PAGE_SIZE, insisting->mask.gfp);
	bool got = page;

	request_over(begun);
	kfree(page);
	return got;
}

/* One request, with all that it needs to be allocated anew: page tables, too. */
static bool insist_on_area(struct insisting *insisting)
{
	struct vcall call = {
		.alloc = alloc_vmalloc,
		.size = PAGE_SIZE,
		.gfp = insisting->mask.gfp | __GFP_NOWARN,
	};

	vcall_place(&call);
	vcall_make(&call);
	fresh_advance();
	WRITE_ONCE(moves, moves + 1);
	insisting->waited += !!call.did.sleeps;
	vfree(insisting->addr[insisting->vmalloc.requests]); /* of a call that did not count */
	insisting->addr[insisting->vmalloc.requests] = call.addr;
	return call.addr;
}

static struct insisting *insisting_now;
static bool insisting_on_area;

/* Each request meets with a shortage of its own. Where a payer has gone meanwhile it does not count. */
static void insist_now(void)
{
	struct row *row = insisting_on_area ? &insisting_now->vmalloc : &insisting_now->page;
	unsigned int tries;

	for (tries = 0; tries < TRIES * VICTIM_CALLS && row->requests < VICTIM_CALLS; tries++) {
		unsigned int gone = payers_gone();
		bool got;

		run_out();
		got = insisting_on_area ? insist_on_area(insisting_now) :
					  insist_on_page(insisting_now);
		row->nulls += !got;
		row->requests += !got || (payers_gone() == gone && !few_left());
	}
}

/*
 * Another task gives back some pages whenever the victim sleeps between its tries, until there are
 * enough. Page tables are not to be had earlier: who does not try again never sees them. A request
 * that takes a second may wait for something else.
 */
static void give_a_little(void)
{
	static unsigned int before, quiet;
	bool waits = READ_ONCE(subjects[0].task) && READ_ONCE(subjects[0].sleeps);

	quiet = before == READ_ONCE(moves) ? quiet + 1 : 0;
	before = READ_ONCE(moves);
	if (quiet && (waits || quiet % BOUNDED_POLLS_PER_SECOND == 0))
		held_give(reserve_pages() / 2);
}

/* Let the victim do it, with as many payers as ever. False if there is nothing to judge. */
static bool victim_row(struct kunit *test, void (*work)(void), void (*meanwhile)(void))
{
	int error;

	if (!all_payers(test))
		return false;
	call_work = work;
	WRITE_ONCE(oom_called_off, true);
	error = in_time(call_let_go, meanwhile);
	WRITE_ONCE(oom_called_off, false);
	return !error;
}

static bool victim_begin(struct kunit *test)
{
	victim_chosen = false;
	if (!case_begin(test, become_victim, 3 * payer_pages()))
		return false;
	run_out();
	if (!in_time(call_let_go, NULL) && victim_chosen)
		return true;
	case_end(test);
	KUNIT_FAIL(test, "the OOM killer has not chosen and reaped it");
	return false;
}

static bool starve_all(struct kunit *test)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			way_now = &ways[i];
			mask_now = &masks[j];
			if (!(mask_now->gfp & __GFP_NOFAIL) && !victim_row(test, starve_now, NULL))
				return false;
		}
	}
	return true;
}

static bool insist_all(struct kunit *test)
{
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(insisting); i++) {
		insisting_now = &insisting[i / 2];
		insisting_on_area = i % 2;
		if (!victim_row(test, insist_now, give_a_little))
			return false;
	}
	return true;
}

/* Whoever is to die has to do with half of the reserves, and is told so. */
static void control_oom_victim(struct kunit *test)
{
	bool complete;
	size_t i;

	if (!victim_begin(test))
		return;
	complete = starve_all(test);
	case_end(test);
	for (i = 0; complete && i < ARRAY_SIZE(ways); i++) {
		report_rows(test, &ways[i]);
		KUNIT_EXPECT_GE_MSG(test, rows[i][0].nulls, 1u, "%s: it gets all it wants",
				    ways[i].name);
	}
}

static void judge_insisting(struct kunit *test, const struct insisting *one)
{
	const char *name = one->mask.name;
	char figure[40];

	scnprintf(figure, sizeof(figure), "vmalloc:%s:null", name);
	measure(test, figure, one->vmalloc.nulls, "requests");
	scnprintf(figure, sizeof(figure), "vmalloc:%s:waited", name);
	measure(test, figure, one->waited, "requests");
	KUNIT_EXPECT_EQ_MSG(test, one->page.requests, VICTIM_CALLS + 0u,
			    "a page, %s: memory was not short", name);
	KUNIT_EXPECT_EQ_MSG(test, one->vmalloc.requests, VICTIM_CALLS + 0u,
			    "vmalloc, %s: memory was not short", name);
	KUNIT_EXPECT_EQ_MSG(test, one->page.nulls, 0u, "a page, %s", name);
	KUNIT_EXPECT_EQ_MSG(test, one->vmalloc.nulls, 0u,
			    "%s: NULL in spite of __GFP_NOFAIL, of %u", name,
			    one->vmalloc.requests);
}

/* But what must not fail does not. */
static void nofail_oom_victim(struct kunit *test)
{
	bool complete;
	size_t i, j;

	for (i = 0; !bounded_stuck && i < ARRAY_SIZE(insisting); i++) {
		insisting[i].page = insisting[i].vmalloc = (struct row){};
		insisting[i].waited = 0;
	}
	if (!victim_begin(test))
		return;
	complete = insist_all(test);
	case_end(test);
	for (i = 0; complete && i < ARRAY_SIZE(insisting); i++)
		judge_insisting(test, &insisting[i]);
	for (i = 0; !bounded_stuck && i < ARRAY_SIZE(insisting); i++) {
		for (j = 0; j < VICTIM_CALLS; j++) {
			vfree(insisting[i].addr[j]);
			insisting[i].addr[j] = NULL;
		}
	}
}

/* ---- the suite */

static struct kunit_case oom_callers_cases[] = {
	KUNIT_CASE(control_kernel_thread),
	KUNIT_CASE(control_program),
	KUNIT_CASE(control_oom_victim),
	KUNIT_CASE(nofail_oom_victim),
	{}
};

static void callers_close(void)
{
	/* A program that does not come back holds the module, and its file. */
	if (!bounded_stuck)
		payers_close();
	probe_remove(&oom_probe);
	vcall_close();
}

static int callers_open(void)
{
	static const char *const names[] = { "out_of_memory" };
	int error = vcall_open();

	if (error)
		return error;
	error = payers_open("oom-callers");
	if (error)
		goto no_folder;
	debugfs_create_file("call", 0200, payers_folder, NULL, &call_file);
	error = probe_function(&oom_probe, names, ARRAY_SIZE(names), oom_call);
	if (!error)
		return 0;
	payers_close();
no_folder:
	vcall_close();
	return error;
}

#define oom_callers_NAME "oom-callers"
HARNESS_SUITE(oom_callers, callers_open, callers_close);
MODULE_DESCRIPTION("Who gets NULL when memory has run out");
MODULE_LICENSE("GPL");
