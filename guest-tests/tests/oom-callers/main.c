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
#include <linux/delay.h>
#include <linux/oom.h>
#include <linux/slab.h>

#include <harness/compat.h>
#include <harness/measure.h>
#include <harness/oom_victims.h>
#include <harness/pinned_pages.h>
#include <harness/timed_call.h>
#include <harness/vmalloc_call.h>
#include <harness/vmalloc_place.h>

#include "oom_callers.h"

/*
 * A row of requests that takes longer is stuck. This is for guests that are very slow: as a rule
 * the host, which knows how fast the guest is, says so long before.
 */
#define QUIET_SECONDS 60
#define SECONDS 120

/* ---- a case */

/* Start programs that hold their memory. */
static bool start_victims(void)
{
	if (oom_victims_start(OOM_VICTIMS))
		return false;
	oom_victims_pause_trigger(true);
	return true;
}

/* The same, and one that does @work if that is not NULL. */
static bool case_begin(struct kunit *test, void (*work)(struct state *state), unsigned long pages)
{
	struct state *state = test->priv;

	if (timed_call_is_stuck()) {
		KUNIT_FAIL(test, "a request of an earlier case has not come back");
		return false;
	}
	if (start_victims()) {
		if ((!work || !program_start(state, work, pages)) &&
		    !oom_victims_fill(victim_pages()))
			return true;
		oom_victims_dismiss();
		program_end(state);
	}
	KUNIT_FAIL(test, "programs do not start, or do not get their memory");
	return false;
}

/* None has been killed; else there are new ones, so that no row begins with few. */
static bool all_victims(struct kunit *test)
{
	struct state *state = test->priv;

	if (!oom_victims_gone())
		return true;
	state->killed += oom_victims_gone();
	/* What they held is free. Some more, lest anybody is killed for starting them. */
	pinned_pages_give(4 * victim_pages());
	oom_victims_dismiss();
	if (start_victims() && !oom_victims_fill(victim_pages()))
		return true;
	KUNIT_FAIL(test, "programs do not start, or do not get their memory");
	return false;
}

static void row_in_thread(void *data)
{
	make_row(data);
}

static void work_in_program(void *data)
{
	program_let_go(data);
}

/* Where the row is made: row_in_thread() or work_in_program(). */
static int in_time(struct state *state, void (*function)(void *data), void (*meanwhile)(void *data))
{
	const struct timed_call timed = {
		.function = function,
		.data = state,
		.progress = &state->moves,
		.quiet_seconds = QUIET_SECONDS,
		.seconds = SECONDS,
		.meanwhile = meanwhile,
	};

	return timed_call_run(&timed);
}

/* What a request that does not come back may still look at stays as it is. */
static void case_end(struct kunit *test)
{
	struct state *state = test->priv;

	call_off(state, false);
	pinned_pages_give_all();
	measure(test, "oom-killed", state->killed + oom_victims_gone(), "programs");
	if (timed_call_is_stuck()) {
		KUNIT_FAIL(test, "a request does not come back");
		return;
	}
	oom_victims_dismiss();
	program_end(state);
}

/* ---- cases: whoever is not to die */

/* The parameters of a case: who makes the requests. */
struct caller_param {
	bool program; /* else a kernel thread */
};

/* Nobody may insist on blocks: that need never end. */
static bool makes_sense(const struct way *way, const struct mask *mask)
{
	return way->promised || !(mask->gfp & __GFP_NOFAIL);
}

/* Those who are promised pages have somebody killed for them. Others have to do without. */
static bool may_kill(const struct way *way, const struct mask *mask)
{
	return way->promised && !(mask->gfp & __GFP_RETRY_MAYFAIL);
}

/* A row of requests where memory has run out; false if there is nothing to judge. */
static bool run_row(struct kunit *test, const struct way *way, const struct mask *mask,
		    bool program)
{
	struct state *state = test->priv;
	bool kill = may_kill(way, mask);
	unsigned int tries;
	int error;

	state->way = way;
	state->mask = mask;
	for (tries = 0; tries < TRIES; tries++) {
		struct row *row = row_now(state);

		if (!all_victims(test))
			return false;
		*row = (struct row){};
		run_out();
		/* Who may enter the filesystem calls the OOM killer himself. */
		oom_victims_pause_trigger(!kill || mask->gfp & __GFP_FS);
		call_off(state, !kill);
		error = in_time(state, program ? work_in_program : row_in_thread, NULL);
		call_off(state, false);
		oom_victims_pause_trigger(true);
		if (error)
			return false;
		/* Was memory short? If not, somebody has given some back meanwhile. */
		if (row->nulls || (kill && oom_victims_gone()))
			return true;
	}
	pinned_pages_give_all();
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

static void run_rows(struct kunit *test)
{
	const struct caller_param *param = harness_param(test);
	struct state *state = test->priv;
	size_t i, j;
	bool complete;

	if (!case_begin(test, param->program ? make_row : NULL, 0))
		return;
	complete = run_all_rows(test, param->program);
	case_end(test);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		report_rows(test, &ways[i]);
		for (j = 0; complete && j < ARRAY_SIZE(masks); j++) {
			const struct row *row = &state->rows[i][j];

			if (!ways[i].promised || masks[j].gfp & __GFP_RETRY_MAYFAIL)
				continue;
			KUNIT_EXPECT_EQ_MSG(test, row->nulls, 0u, "%s with %s", ways[i].name,
					    masks[j].name);
			KUNIT_EXPECT_GE(test, row->requests, 1u);
		}
	}
}

/* ---- cases: a program that the OOM killer chose */

/* Ask for pages until the OOM killer comes. It takes the one that has the most: this one. */
static void become_victim(struct state *state)
{
	unsigned long until = jiffies + OOM_VICTIMS_PATIENCE;
	struct got *all = NULL;
	unsigned int tries;

	for (tries = 0; tries < 4 * victim_pages() && !tsk_is_oom_victim(current); tries++) {
		ktime_t begun = ktime_get();
		struct got *got = (void *)__get_free_page(GFP_KERNEL);

		if (!got)
			break;
		got->next = all;
		all = got;
		request_over(state, begun);
	}
	while (all) {
		struct got *next = all->next;

		free_page((unsigned long)all);
		all = next;
	}
	/* What it held is free as soon as it is reaped; then memory runs out once more. */
	while (tsk_is_oom_victim(current) && time_before(jiffies, until)) {
		state->victim_chosen = get_mm_counter(current->mm, MM_ANONPAGES) < state->pages / 2;
		if (state->victim_chosen)
			break;
		msleep(10);
	}
	msleep(50);
}

/* What somebody gives back meanwhile ends the shortage. Then the row does not count. */
static void starve(struct state *state)
{
	struct row *row = row_now(state);
	unsigned int tries;

	for (tries = 0; tries < TRIES && !row->nulls; tries++) {
		*row = (struct row){};
		run_out();
		make_row(state);
	}
}

static bool insist_on_page(struct state *state)
{
	ktime_t begun = ktime_get();
	void *page = kmalloc(PAGE_SIZE, state->insisting_now->gfp);
	bool got = page;

	request_over(state, begun);
	kfree(page);
	return got;
}

/* One request, with all that it needs to be allocated anew: page tables, too. */
static bool insist_on_area(struct state *state)
{
	struct insisting *insisting = state->insisting_now;
	struct vmalloc_call call = {
		.alloc = alloc_vmalloc,
		.size = PAGE_SIZE,
		.gfp = insisting->gfp | __GFP_NOWARN,
	};

	vmalloc_call_place(&call);
	vmalloc_call_make(&call);
	vmalloc_place_next_region();
	WRITE_ONCE(state->moves, state->moves + 1);
	insisting->waited += !!call.did.sleeps;
	vfree(insisting->addr[insisting->vmalloc.requests]); /* of a call that did not count */
	insisting->addr[insisting->vmalloc.requests] = call.addr;
	return call.addr;
}

/* Each request meets with a shortage of its own. If a victim goes meanwhile, it does not count. */
static void insist(struct state *state)
{
	bool area = state->insisting_on_area;
	struct row *row = area ? &state->insisting_now->vmalloc : &state->insisting_now->page;
	unsigned int tries;

	for (tries = 0; tries < TRIES * VICTIM_CALLS && row->requests < VICTIM_CALLS; tries++) {
		unsigned int gone = oom_victims_gone();
		bool got;

		run_out();
		got = area ? insist_on_area(state) : insist_on_page(state);
		row->nulls += !got;
		row->requests += !got || (oom_victims_gone() == gone && !few_left());
	}
}

/*
 * Another task gives back some pages whenever the victim sleeps between its tries, until there are
 * enough. Page tables are not to be had earlier: who does not try again never sees them. A request
 * that takes a second may wait for something else.
 */
static void give_a_little(void *data)
{
	bool waits = READ_ONCE(tracked_tasks[0].task) && READ_ONCE(tracked_tasks[0].sleeps);
	struct state *state = data;

	if (state->seen_moves != READ_ONCE(state->moves))
		state->quiet_polls = 0;
	else
		state->quiet_polls++;
	state->seen_moves = READ_ONCE(state->moves);
	if (state->quiet_polls && (waits || state->quiet_polls % TIMED_CALL_POLLS_PER_SECOND == 0))
		pinned_pages_give(reserve_pages() / 2);
}

/* Let the victim do it, with as many programs as ever. False if there is nothing to judge. */
static bool victim_row(struct kunit *test, void (*work)(struct state *state),
		       void (*meanwhile)(void *data))
{
	struct state *state = test->priv;
	int error;

	if (!all_victims(test))
		return false;
	state->work = work;
	call_off(state, true);
	error = in_time(state, work_in_program, meanwhile);
	call_off(state, false);
	return !error;
}

static bool victim_begin(struct kunit *test)
{
	struct state *state = test->priv;

	if (!case_begin(test, become_victim, 3 * victim_pages()))
		return false;
	run_out();
	if (!in_time(state, work_in_program, NULL) && state->victim_chosen)
		return true;
	case_end(test);
	KUNIT_FAIL(test, "the OOM killer has not chosen and reaped it");
	return false;
}

static bool starve_all(struct kunit *test)
{
	struct state *state = test->priv;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (j = 0; j < ARRAY_SIZE(masks); j++) {
			state->way = &ways[i];
			state->mask = &masks[j];
			if (!(masks[j].gfp & __GFP_NOFAIL) && !victim_row(test, starve, NULL))
				return false;
		}
	}
	return true;
}

static bool insist_all(struct kunit *test)
{
	struct state *state = test->priv;
	size_t i;

	for (i = 0; i < 2 * INSISTING; i++) {
		state->insisting_now = &state->insisting[i / 2];
		state->insisting_on_area = i % 2;
		if (!victim_row(test, insist, give_a_little))
			return false;
	}
	return true;
}

/* Whoever is to die has to do with half of the reserves, and is told so. */
static void control_oom_victim(struct kunit *test)
{
	const struct state *state = test->priv;
	bool complete;
	size_t i;

	if (!victim_begin(test))
		return;
	complete = starve_all(test);
	case_end(test);
	for (i = 0; complete && i < ARRAY_SIZE(ways); i++) {
		report_rows(test, &ways[i]);
		KUNIT_EXPECT_GE_MSG(test, state->rows[i][0].nulls, 1u, "%s: it gets all it wants",
				    ways[i].name);
	}
}

static void judge_insisting(struct kunit *test, const struct insisting *one)
{
	const char *name = one->name;
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
	struct state *state = test->priv;
	bool complete;
	size_t i, j;

	if (!victim_begin(test))
		return;
	complete = insist_all(test);
	case_end(test);
	for (i = 0; complete && i < INSISTING; i++)
		judge_insisting(test, &state->insisting[i]);
	for (i = 0; !timed_call_is_stuck() && i < INSISTING; i++) {
		for (j = 0; j < VICTIM_CALLS; j++)
			vfree(state->insisting[i].addr[j]);
	}
}

/* ---- the suite */

static struct kunit_case oom_callers_cases[] = {
	HARNESS_CASE_PARAM(control_kernel_thread, run_rows, struct caller_param, .program = false),
	HARNESS_CASE_PARAM(control_program, run_rows, struct caller_param, .program = true),
	KUNIT_CASE(control_oom_victim),
	KUNIT_CASE(nofail_oom_victim),
	{}
};

static int callers_init(struct kunit *test)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);
	int error;

	if (!state)
		return -ENOMEM;
	state->insisting[0].name = "GFP_KERNEL";
	state->insisting[0].gfp = GFP_KERNEL | __GFP_NOFAIL;
	state->insisting[1].name = "GFP_NOFS";
	state->insisting[1].gfp = GFP_NOFS | __GFP_NOFAIL;
	error = program_open(state);
	if (error)
		kfree(state);
	else
		test->priv = state;
	return error;
}

static void callers_exit(struct kunit *test)
{
	struct state *state = test->priv;

	/* A request that does not come back still looks at it. */
	if (!state || timed_call_is_stuck())
		return;
	program_close(state);
	kfree(state);
}

static void callers_close(void)
{
	/* A program that does not come back holds the module, and its file. */
	if (!timed_call_is_stuck())
		oom_victims_close();
	vmalloc_call_close();
}

static int callers_open(void)
{
	int error = vmalloc_call_open();

	if (error)
		return error;
	error = oom_victims_open("oom-callers");
	if (error)
		vmalloc_call_close();
	return error;
}

#define oom_callers_NAME "oom-callers"
HARNESS_SUITE(oom_callers, callers_open, callers_close, .init = callers_init,
	      .exit = callers_exit);
MODULE_DESCRIPTION("Who gets NULL when memory has run out");
MODULE_LICENSE("GPL");
