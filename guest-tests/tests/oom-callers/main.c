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
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mmzone.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <harness/compat.h>
#include <harness/measure.h>
#include <harness/oom_victims.h>
#include <harness/pinned_pages.h>
#include <harness/progress.h>
#include <harness/symbol.h>
#include <harness/timed_call.h>
#include <harness/vmalloc_call.h>
#include <harness/vmalloc_place.h>

#define FUSES 4		/* OOM victims that are only there lest the OOM killer find nobody */
#define TRIES 4		/* for a row to be made while memory is short */
#define NULLS_ENOUGH 8	/* of one kind: more say nothing new */

/*
 * A row of requests that takes longer is stuck. This is for guests that are very slow: as a rule
 * the host, which knows how fast the guest is, says so long before.
 */
#define QUIET_SECONDS 60
#define SECONDS 120

/* ---- kinds of requests */

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

struct row {
	unsigned int requests, nulls;
	u64 longest; /* nanoseconds */
};

/* ---- the state of a case */

#define VICTIM_CALLS 12

/* What an OOM victim gets with __GFP_NOFAIL, of each kind of request VICTIM_CALLS. */
struct insisting {
	const char *name;
	gfp_t gfp;
	struct row page, vmalloc;
	unsigned int waited; /* calls of vmalloc that had to sleep */
	void *addr[VICTIM_CALLS];
};

#define INSISTING 2

struct state {
	struct row rows[ARRAY_SIZE(ways)][ARRAY_SIZE(masks)];
	unsigned int moves;  /* changes whenever a request is over */
	unsigned int killed; /* OOM victims that are no longer counted among those there are */

	/* The row under way. */
	const struct way *way;
	const struct mask *mask;

	/* The OOM killer, called off. */
	struct kprobe oom_probe;
	bool oom_called_off;

	/* A program inside the kernel. */
	struct dentry *file;
	unsigned int number;  /* what the program writes; one of an earlier case is turned away */
	void (*work)(struct state *state);
	unsigned long pages;  /* that it holds itself; not 0: the OOM killer's first choice */
	spinlock_t lock;      /* task */
	struct task_struct *task;
	bool go, leave;
	wait_queue_head_t changed;
	struct completion there, done;

	/* The same, as an OOM victim. */
	bool victim_chosen;
	struct insisting insisting[INSISTING];
	struct insisting *insisting_now;
	bool insisting_on_area;
	unsigned int seen_moves, quiet_polls;
};

/* ---- memory that runs out */

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
 * What an OOM victim holds: a share of RAM, but no more than brings the zones far above what they
 * keep, or filling victims takes minutes where RAM is large. A row of requests wants half of it.
 */
static unsigned long victim_pages(void)
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
	return oom_victims_left() < FUSES;
}

/*
 * Memory runs out. Of what is free now, and no more: whoever needs a page meanwhile, PID 1 for one,
 * has an OOM victim killed, and what that one held must not be taken as well, or all of them are
 * killed before the first request is made.
 */
static void run_out(void)
{
	if (timed_call_is_stuck())
		return; /* the case is over, and what was held has been given back */
	if (few_left())
		pinned_pages_give_all();
	else
		pinned_pages_take(global_zone_page_state(NR_FREE_PAGES), next_to_nothing(),
				  __GFP_MEMALLOC);
}

/* ---- a row of requests of one kind */

static void request_over(struct state *state, ktime_t begun)
{
	progress_done_since(begun);
	WRITE_ONCE(state->moves, state->moves + 1);
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

static struct row *row_now(struct state *state)
{
	return &state->rows[state->way - ways][state->mask - masks];
}

/* Make requests until they have got half of what an OOM victim holds, or NULL several times. */
static void make_row(struct state *state)
{
	unsigned long want = victim_pages() / 2 * PAGE_SIZE, have = 0;
	const struct way *way = state->way;
	struct row *row = row_now(state);
	struct got *all = NULL;

	while (have < want && row->nulls < NULLS_ENOUGH) {
		struct got *got;
		ktime_t begun;

		if (few_left())
			pinned_pages_give_all();
		begun = ktime_get();
		got = way->alloc(way->size, state->mask->gfp | __GFP_NOWARN);
		row->longest = max_t(u64, row->longest, ktime_to_ns(ktime_sub(ktime_get(), begun)));
		request_over(state, begun);
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
	const struct state *state = test->priv;
	const struct row *row = state->rows[way - ways];
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
 * next one killed as long as its own has not been reaped: out_of_memory() says that all is under
 * way. Let that last, for whoever asks: what PID 1 needs, to read the report of one kill, is another
 * kill.
 */
static int out_of_memory_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct state *state = container_of(probe, struct state, oom_probe);

	if (!READ_ONCE(state->oom_called_off))
		return 0;
	probe_return(regs, true);
	return 1;
}

static void out_of_memory_post(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static void call_off(struct state *state, bool off)
{
	WRITE_ONCE(state->oom_called_off, off);
}

/* ---- a program inside the kernel */

static bool program_enter(struct state *state, unsigned int number)
{
	bool entered;

	spin_lock(&state->lock);
	entered = number == state->number && !state->task && !state->leave;
	if (entered)
		state->task = get_task_struct(current);
	spin_unlock(&state->lock);
	return entered;
}

static ssize_t program_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	struct state *state = file->private_data;
	unsigned int number;
	int error = kstrtouint_from_user(text, count, 10, &number);

	if (error)
		return error;
	if (!program_enter(state, number))
		return -EBUSY; /* nobody has started it, or not now */
	current->signal->oom_score_adj = state->pages ? OOM_SCORE_ADJ_MAX : 0;
	if (state->pages)
		oom_victims_touch(state->pages);
	complete(&state->there);
	for (;;) {
		wait_event_idle(state->changed, smp_load_acquire(&state->go) ||
				READ_ONCE(state->leave));
		if (READ_ONCE(state->leave))
			return count;
		WRITE_ONCE(state->go, false);
		state->work(state);
		complete(&state->done);
	}
}

static const struct file_operations program_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = program_write,
};

/* Start a program that does @work whenever it is let go. Ends with program_end(), in any case. */
static int program_start(struct state *state, void (*work)(struct state *state),
			 unsigned long pages)
{
	int error;

	state->work = work;
	state->pages = pages;
	error = oom_victims_shell("call", state->number);
	if (!error && !wait_for_completion_timeout(&state->there, OOM_VICTIMS_PATIENCE))
		error = -ETIMEDOUT;
	return error;
}

/* In the worker: let it work, and wait for it. */
static void program_let_go(struct state *state)
{
	smp_store_release(&state->go, true);
	wake_up_all(&state->changed);
	wait_for_completion(&state->done);
}

/* Send it away. If it is not there yet, it is too late. */
static void program_end(struct state *state)
{
	unsigned long until = jiffies + OOM_VICTIMS_PATIENCE;
	struct task_struct *task;

	spin_lock(&state->lock);
	WRITE_ONCE(state->leave, true);
	task = state->task;
	state->task = NULL;
	spin_unlock(&state->lock);
	wake_up_all(&state->changed);
	while (task && !READ_ONCE(task->exit_state) && time_before(jiffies, until))
		msleep(10);
	if (task)
		put_task_struct(task);
}

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
	static const char *const names[] = { "out_of_memory" };
	static unsigned int cases;
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);
	int error;

	if (!state)
		return -ENOMEM;
	state->number = ++cases;
	spin_lock_init(&state->lock);
	init_waitqueue_head(&state->changed);
	init_completion(&state->there);
	init_completion(&state->done);
	state->insisting[0].name = "GFP_KERNEL";
	state->insisting[0].gfp = GFP_KERNEL | __GFP_NOFAIL;
	state->insisting[1].name = "GFP_NOFS";
	state->insisting[1].gfp = GFP_NOFS | __GFP_NOFAIL;
	state->oom_probe.post_handler = out_of_memory_post;
	error = probe_function(&state->oom_probe, names, ARRAY_SIZE(names), out_of_memory_entry);
	if (error) {
		kfree(state);
		return error;
	}
	state->file = oom_victims_add_file("call", state, &program_file);
	test->priv = state;
	return 0;
}

static void callers_exit(struct kunit *test)
{
	struct state *state = test->priv;

	/* A request that does not come back still looks at it. */
	if (!state || timed_call_is_stuck())
		return;
	debugfs_remove(state->file);
	probe_remove(&state->oom_probe);
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
