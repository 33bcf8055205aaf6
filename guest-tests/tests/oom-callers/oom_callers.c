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
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/oom.h>
#include <linux/umh.h>

#include <harness/compat.h>
#include <harness/held.h>
#include <harness/measure.h>
#include <harness/payers.h>
#include <harness/symbol.h>
#include <harness/vcall.h>

#define FUSES 4		/* payers that are only there lest the OOM killer find nobody */
#define NULLS_ENOUGH 8	/* of one kind: more say nothing new */

/* A payer's share of RAM; a row of requests wants half of what one of them holds. */
static unsigned long payer_pages(void)
{
	return totalram_pages() / 32;
}

/* Far below the watermarks, an OOM victim's included. */
static unsigned long next_to_nothing(void)
{
	return totalram_pages() / 512;
}

/*
 * Memory runs out. Of what is free now, and no more: whoever needs a page meanwhile, PID 1 for
 * one, has a payer killed, and what that one held must not be taken as well, or all of them pay
 * before the first request is made.
 */
static void run_out(void)
{
	held_take_some(global_zone_page_state(NR_FREE_PAGES), next_to_nothing(), __GFP_MEMALLOC);
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
		u64 begun;

		/* Nobody left to be killed is a panic. */
		if (payers_count > FUSES && payers_count - payers_gone() < FUSES)
			held_give_all();
		begun = ktime_get_ns();
		got = way->alloc(way->size, mask->gfp | __GFP_NOWARN);
		row->longest = max(row->longest, ktime_get_ns() - begun);
		row->requests++;
		row->nulls += !got;
		WRITE_ONCE(moves, moves + 1);
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

static const struct way *way_now;
static unsigned int killed; /* payers that are no longer counted among those there are */

/* None has been killed; else there are new ones, so that no row begins with few. */
static bool all_payers(void)
{
	if (!payers_gone())
		return true;
	killed += payers_gone();
	held_give_all();
	payers_dismiss();
	if (payers_call(PAYERS))
		return false;
	WRITE_ONCE(payers_rest, true);
	return !payers_fill(payer_pages());
}

static void make_rows(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		if (!makes_sense(way_now, &masks[i]))
			continue;
		if (!all_payers())
			return;
		run_out();
		/* Who may enter the filesystem calls the OOM killer himself. */
		WRITE_ONCE(payers_rest, masks[i].gfp & __GFP_FS);
		make_row(way_now, &masks[i], &rows[way_now - ways][i]);
		WRITE_ONCE(payers_rest, true);
	}
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

/* ---- a program inside the kernel */

static void (*call_work)(void);
static unsigned long call_pages; /* that it holds itself; not 0: the OOM killer's first choice */
static bool call_go;
static int call_error;
static DECLARE_COMPLETION(call_there);
static DECLARE_COMPLETION(call_done);
static struct task_struct *call_task;

static ssize_t call_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	call_task = get_task_struct(current);
	current->signal->oom_score_adj = call_pages ? OOM_SCORE_ADJ_MAX : 0;
	if (call_pages)
		payer_touch(call_pages);
	complete(&call_there);
	wait_event_idle(payers_wait, READ_ONCE(call_go) || READ_ONCE(payers_leave));
	if (READ_ONCE(call_go))
		call_work();
	complete(&call_done);
	return count;
}

static const struct file_operations call_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = call_write,
};

static int call_program(void (*work)(void), unsigned long pages)
{
	static char *argv[] = {
		"/bin/busybox", "sh", "-c", "echo >/sys/kernel/debug/oom-callers/call", NULL,
	};
	static char *envp[] = { "PATH=/bin", NULL };
	int error;

	call_work = work;
	call_pages = pages;
	call_go = false;
	call_error = 0;
	call_task = NULL;
	reinit_completion(&call_there);
	reinit_completion(&call_done);
	error = call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC);
	if (!error && !wait_for_completion_timeout(&call_there, PAYERS_PATIENCE))
		error = -ETIMEDOUT;
	return error;
}

/* In the worker: let it work, and wait for it. */
static void call_let_go(void)
{
	WRITE_ONCE(call_go, true);
	wake_up_all(&payers_wait);
	wait_for_completion(&call_done);
}

static void call_end(void)
{
	unsigned long until = jiffies + PAYERS_PATIENCE;

	while (call_task && !READ_ONCE(call_task->exit_state) && time_before(jiffies, until))
		msleep(10);
	if (call_task)
		put_task_struct(call_task);
	call_task = NULL;
}

/* ---- cases: whoever is not to die */

/* Run @bounded where memory has run out; false if there is nothing to judge. */
static bool run_short(struct kunit *test, unsigned int count, const struct bounded *bounded)
{
	int error;

	killed = 0;
	WRITE_ONCE(payers_rest, true);
	error = payers_fill(payer_pages());
	if (error)
		KUNIT_FAIL(test, "the programs do not get their memory");
	run_out();
	if (!error)
		error = bounded_run(bounded);
	held_give_all();
	measure(test, "oom-killed", killed + payers_gone(), "programs");
	if (bounded_stuck) {
		KUNIT_FAIL(test, "a request does not come back");
		return false;
	}
	payers_dismiss();
	call_end();
	return !error;
}

static void run_rows(struct kunit *test, bool program)
{
	const struct bounded bounded = {
		.function = program ? call_let_go : make_rows,
		.progress = &moves,
	};
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct way *way = way_now = &ways[i];

		memset(rows, 0, sizeof(rows));
		if (payers_call(PAYERS) || (program && call_program(make_rows, 0))) {
			KUNIT_FAIL(test, "programs do not start");
			payers_dismiss();
			return;
		}
		if (!run_short(test, PAYERS, &bounded))
			return;
		report_rows(test, way);
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			if (!way->promised || masks[j].gfp & __GFP_RETRY_MAYFAIL)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, rows[i][j].nulls, 0u, "%s with %s", way->name,
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
#define PORTION 16 /* pages that are given back at a time */

static bool victim_chosen;
static bool victim_starves; /* its own OOM kills are called off */
static void *victim_addr[2 * VICTIM_CALLS];
static struct row victim_page[2], victim_vmalloc[2];
static const struct mask victim_masks[2] = {
	{ "GFP_KERNEL|__GFP_NOFAIL", GFP_KERNEL | __GFP_NOFAIL },
	{ "GFP_NOFS|__GFP_NOFAIL", GFP_NOFS | __GFP_NOFAIL },
};

/*
 * A victim that asks for memory does not get the next one killed as long as its own has not been
 * reaped: out_of_memory() says that all is under way. Let that last, or the first request would
 * end the shortage.
 */
static int victim_oom(struct kprobe *probe, struct pt_regs *regs)
{
	if (!READ_ONCE(victim_starves) || current != call_task)
		return 0;
	probe_return(regs, true);
	return 1;
}

static void victim_oom_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe victim_probe = { .post_handler = victim_oom_after };

/* Ask for pages until the OOM killer comes. It takes the one that has the most: this one. */
static void become_victim(void)
{
	struct got *all = NULL;
	unsigned int tries;

	for (tries = 0; tries < 4 * payer_pages() && !tsk_is_oom_victim(current); tries++) {
		struct got *got = (void *)__get_free_page(GFP_KERNEL);

		if (!got)
			break;
		got->next = all;
		all = got;
		WRITE_ONCE(moves, moves + 1);
	}
	while (all) {
		struct got *next = all->next;

		free_page((unsigned long)all);
		all = next;
	}
	victim_chosen = tsk_is_oom_victim(current);
	WRITE_ONCE(payers_rest, true);
	/* What it held is free as soon as it is reaped; then memory runs out once more. */
	for (tries = 0; tries < 300 && global_zone_page_state(NR_FREE_PAGES) < call_pages / 2; tries++)
		msleep(10);
	WRITE_ONCE(moves, moves + 1);
	msleep(50);
	WRITE_ONCE(victim_starves, true);
	run_out();
}

static void victim_may_fail(void)
{
	size_t i, j;

	become_victim();
	for (i = 0; victim_chosen && i < ARRAY_SIZE(ways); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			if (!(masks[j].gfp & __GFP_NOFAIL))
				make_row(&ways[i], &masks[j], &rows[i][j]);
		}
	}
	WRITE_ONCE(victim_starves, false);
}

/* One request, with all that it needs to be allocated anew: page tables, too. */
static void victim_call(const struct mask *mask, struct row *row, void **addr)
{
	struct vcall call = {
		.alloc = alloc_vmalloc,
		.size = PAGE_SIZE,
		.gfp = mask->gfp | __GFP_NOWARN,
	};

	vcall_place(&call);
	vcall_make(&call);
	fresh_advance();
	*addr = call.addr;
	row->requests++;
	row->nulls += !call.addr;
	WRITE_ONCE(moves, moves + 1);
}

static void victim_must_not(void)
{
	unsigned int i, j;

	become_victim();
	for (i = 0; victim_chosen && i < ARRAY_SIZE(victim_masks); i++) {
		void **addr = &victim_addr[i * VICTIM_CALLS];

		for (j = 0; j < VICTIM_CALLS / 2; j++) {
			void *page = kmalloc(PAGE_SIZE, victim_masks[i].gfp);

			victim_page[i].requests++;
			victim_page[i].nulls += !page;
			WRITE_ONCE(moves, moves + 1);
			kfree(page);
		}
		for (j = 0; j < VICTIM_CALLS; j++)
			victim_call(&victim_masks[i], &victim_vmalloc[i], &addr[j]);
	}
	WRITE_ONCE(victim_starves, false);
}

/* Another task gives back a few pages whenever the victim has not got on since the last time. */
static void give_a_little(void)
{
	static unsigned int before;

	if (before == READ_ONCE(moves) && READ_ONCE(victim_starves))
		held_give(PORTION);
	before = READ_ONCE(moves);
}

/* False if there is nothing to judge. */
static bool run_victim(struct kunit *test, void (*work)(void), void (*meanwhile)(void))
{
	const struct bounded bounded = {
		.function = call_let_go,
		.progress = &moves,
		.meanwhile = meanwhile,
	};

	memset(rows, 0, sizeof(rows));
	victim_chosen = false;
	if (payers_call(FUSES) || call_program(work, 3 * payer_pages())) {
		KUNIT_FAIL(test, "programs do not start");
		payers_dismiss();
		return false;
	}
	if (!run_short(test, FUSES, &bounded))
		return false;
	KUNIT_EXPECT_TRUE_MSG(test, victim_chosen, "the OOM killer has not chosen it");
	return victim_chosen;
}

/* Whoever is to die has to do with half of the reserves, and is told so. */
static void control_oom_victim(struct kunit *test)
{
	size_t i;

	if (!run_victim(test, victim_may_fail, NULL))
		return;
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		report_rows(test, &ways[i]);
		KUNIT_EXPECT_GE_MSG(test, rows[i][0].nulls, 1u, "%s: it gets all it wants",
				    ways[i].name);
	}
}

/* But what must not fail does not. */
static void nofail_oom_victim(struct kunit *test)
{
	size_t i;

	memset(victim_page, 0, sizeof(victim_page));
	memset(victim_vmalloc, 0, sizeof(victim_vmalloc));
	memset(victim_addr, 0, sizeof(victim_addr));
	if (run_victim(test, victim_must_not, give_a_little)) {
		for (i = 0; i < ARRAY_SIZE(victim_masks); i++) {
			measure(test, victim_masks[i].gfp & __GFP_FS ? "vmalloc:GFP_KERNEL:null" :
				"vmalloc:GFP_NOFS:null", victim_vmalloc[i].nulls, "requests");
			KUNIT_EXPECT_EQ_MSG(test, victim_page[i].nulls, 0u, "a page, %s",
					    victim_masks[i].name);
			KUNIT_EXPECT_EQ_MSG(test, victim_vmalloc[i].nulls, 0u,
					    "%s: NULL in spite of __GFP_NOFAIL, of %u",
					    victim_masks[i].name, victim_vmalloc[i].requests);
		}
	}
	for (i = 0; !bounded_stuck && i < ARRAY_SIZE(victim_addr); i++)
		vfree(victim_addr[i]);
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
	probe_remove(&victim_probe);
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
	error = probe_function(&victim_probe, names, ARRAY_SIZE(names), victim_oom);
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
