// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc with __GFP_NOFAIL waits for what another task has and will give back: room in the
 * address space, memory for the descriptors of an area. It sleeps meanwhile, says so in the log,
 * and gets what it asked for, be the caller a kernel thread, a program that is being killed, a
 * victim of the OOM killer, or one of many.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/umh.h>

#include <harness/progress.h>
#include <harness/sweep.h>
#include <harness/symbol.h>
#include <harness/timed_call.h>
#include <harness/vmalloc_call.h>
#include <harness/vmalloc_place.h>

#define SMALL (4 * PAGE_SIZE)

#define CALLERS (TRACKED_TASKS - 1)
#define CALLS 4 /* of each caller */

struct caller {
	struct state *state;
	unsigned int slot;
	unsigned long starts[CALLS];
	/* What came of its calls. */
	unsigned int nulls, bad, left, failed, sleeps, unslept;
};

/* The state of a case. */
struct state {
	/* Exhaustion that another task ends. */
	unsigned long from, to; /* a window of address space, with room for one area */
	void *blocker;		/* sits in the window */
	unsigned int polls;
	/* A program that is being killed. */
	struct dentry *folder;
	struct vmalloc_call call;
	bool wants_victim, was_victim, called;
	int status;
	/* Many callers at once. */
	struct caller callers[CALLERS];
	unsigned int progress;
	atomic_t running;
	struct completion done;
};

/* ---- exhaustion that another task ends */

#define POLLS_AT_MOST (5 * TIMED_CALL_POLLS_PER_SECOND)
#define SLEEPS_AWAITED 3U

/* Room for one area of a size that needs no other: the area and its guard page. */
static void set_window(struct state *state, unsigned long size)
{
	state->from = vmalloc_place_window();
	state->to = state->from + size + PAGE_SIZE;
}

/* The other task waits until the caller has slept a few times. If it never does, it helps too. */
static bool time_to_help(struct state *state)
{
	return READ_ONCE(tracked_tasks[0].sleeps) >= SLEEPS_AWAITED ||
	       ++state->polls > POLLS_AT_MOST;
}

static void leave_window(void *data)
{
	struct state *state = data;

	if (state->blocker && time_to_help(state)) {
		vfree(state->blocker);
		state->blocker = NULL;
	}
}

static void give_descriptors(void *data)
{
	if (time_to_help(data))
		WRITE_ONCE(tracked_tasks[0].plan.first, 0);
}

static bool block_window(struct kunit *test, unsigned long size)
{
	struct state *state = test->priv;
	struct vmalloc_call call = { .alloc = alloc_vmalloc, .size = size, .gfp = GFP_KERNEL };

	set_window(state, size);
	call.from = state->from;
	call.to = state->to;
	vm_unmap_aliases();
	state->polls = 0;
	if (vmalloc_call_run(&call) || !call.addr) {
		KUNIT_FAIL(test, "the window cannot be filled");
		return false;
	}
	state->blocker = call.addr;
	return true;
}

/* Make a call that has to wait until it is helped; false if there is nothing to judge. */
static bool wait_and_judge(struct kunit *test, struct vmalloc_call *call)
{
	struct state *state = test->priv;

	if (vmalloc_call_run(call)) {
		KUNIT_FAIL(test, "the call does not return, %u sleeps", tracked_tasks[0].sleeps);
		return false;
	}
	kunit_info(test, "gfp %#x: %s, %u sleeps up to %lu ticks, %u warnings, %u of %u refused\n",
		   (__force unsigned int)call->gfp, call->addr ? "memory" : "NULL",
		   call->did.sleeps, call->did.longest, call->did.warned, call->did.failed,
		   call->did.requests);
	KUNIT_EXPECT_EQ_MSG(test, call->scope, call->outer, "scopes of the task were changed");
	if (call->addr)
		KUNIT_EXPECT_TRUE(test, vmalloc_call_sound(call));
	vfree(state->blocker);
	state->blocker = NULL;
	return true;
}

static void expect_waited(struct kunit *test, struct vmalloc_call *call)
{
	if (!wait_and_judge(test, call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, call->addr, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_GE_MSG(test, call->did.sleeps, SLEEPS_AWAITED, "does not sleep");
	KUNIT_EXPECT_LE_MSG(test, call->did.longest, (unsigned long)SWEEP_LONGEST_SLEEP,
			    "slept far longer than it takes for room to come free");
	KUNIT_EXPECT_EQ_MSG(test, call->did.shortest, (unsigned long)SWEEP_WAIT,
			    "waits for more than a tick before it tries again");
	vmalloc_call_free(call);
	vm_unmap_aliases();
	KUNIT_EXPECT_FALSE_MSG(test, vmalloc_call_left(call), "areas, objects or pages left");
}

static struct vmalloc_call in_window(struct state *state, gfp_t gfp)
{
	return (struct vmalloc_call){
		.alloc = alloc_vmalloc,
		.size = SMALL,
		.gfp = gfp | __GFP_NOWARN,
		.from = state->from,
		.to = state->to,
		.meanwhile = leave_window,
		.data = state,
	};
}

#define MASKS 3

/* The parameters of a case of waiting for room. */
struct no_room_param {
	gfp_t masks[MASKS]; /* one call each; 0: no more */
	bool killed;
	unsigned int warnings; /* at least */
};

static void no_room(struct kunit *test)
{
	const struct no_room_param *param = harness_param(test);
	size_t i;

	for (i = 0; i < MASKS && param->masks[i]; i++) {
		struct vmalloc_call call;

		if (!block_window(test, SMALL))
			return;
		call = in_window(test->priv, param->masks[i] | __GFP_NOFAIL);
		call.killed = param->killed;
		expect_waited(test, &call);
		KUNIT_EXPECT_EQ_MSG(test, call.fatal, param->killed, "the signal is gone");
		KUNIT_EXPECT_GE(test, call.did.warned, param->warnings);
	}
}

/* Neither the first descriptor of an area nor the second can be had for a while. */
static void nofail_no_descriptors(struct kunit *test)
{
	struct state *state = test->priv;
	unsigned int step;

	for (step = 1; step <= 2; step++) {
		struct vmalloc_call call = {
			.alloc = alloc_vmalloc,
			.size = SMALL,
			.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN,
			.plan = {
				.insist = true, .first = step, .step = step, .count = UINT_MAX,
			},
			.meanwhile = give_descriptors,
			.data = state,
		};

		state->polls = 0;
		expect_waited(test, &call);
		KUNIT_EXPECT_GE_MSG(test, call.did.failed, SLEEPS_AWAITED, "was not failed");
	}
}

/* Without the flag nobody waits. */
static void control_no_room_may_fail(struct kunit *test)
{
	struct vmalloc_call call;

	if (!block_window(test, SMALL))
		return;
	call = in_window(test->priv, GFP_KERNEL);
	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "waits although it may fail");
	KUNIT_EXPECT_EQ(test, call.did.sleeps, 0u);
	vmalloc_call_free(&call);
}

static void control_no_descriptors_may_fail(struct kunit *test)
{
	struct vmalloc_call call = {
		.alloc = alloc_vmalloc,
		.size = SMALL,
		.gfp = GFP_KERNEL | __GFP_NOWARN,
		.plan = { .insist = true, .first = 1, .count = UINT_MAX },
		.meanwhile = give_descriptors,
		.data = test->priv,
	};

	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "waits although it may fail");
	KUNIT_EXPECT_EQ(test, call.did.sleeps, 0u);
	vmalloc_call_free(&call);
}

/*
 * Where there is room, but none in which a huge mapping would lie right, small pages do: nobody
 * waits for that. The window is odd by a page, and the one place that would serve is taken.
 */
static void control_huge_gives_way(struct kunit *test)
{
	struct vmalloc_call call = { .alloc = alloc_huge, .size = PMD_SIZE };
	struct state *state = test->priv;

	if (!HARNESS_HUGE_GIVES_WAY)
		harness_skip(test, "known in mainline: waits for room aligned for huge pages");
	set_window(state, PMD_SIZE);
	call.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN;
	call.from = state->from + PAGE_SIZE;
	call.to = state->to + PAGE_SIZE;
	vm_unmap_aliases();
	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE(test, call.addr);
	KUNIT_EXPECT_EQ_MSG(test, call.did.sleeps, 0u, "waits for what it does not need");
	vmalloc_call_free(&call);
}

/* ---- a program that is being killed */

static bool (*out_of_memory_of_kernel)(struct oom_control *control);

/* In the context of the program, whatever it writes: make the call of the case. */
static ssize_t program_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	struct oom_control control = { .gfp_mask = GFP_KERNEL };
	struct state *state = file->private_data;
	unsigned long tries = state->wants_victim ? totalram_pages() : 0;

	send_sig(SIGKILL, current, 1);
	/*
	 * Out of memory already, the OOM killer takes the one that is dying anyway; but first it
	 * asks those who would rather give memory back, as some loads do, and is content with a page.
	 */
	while (tries-- && !tsk_is_oom_victim(current)) {
		out_of_memory_of_kernel(&control);
		cond_resched();
	}
	state->was_victim = tsk_is_oom_victim(current);
	state->called = true;
	vmalloc_call_make(&state->call);
	return count;
}

static const struct file_operations program_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = program_write,
};

static void run_program(void *data)
{
	static char *argv[] = {
		"/bin/busybox", "sh", "-c", "echo >/sys/kernel/debug/vmalloc-nofail-wait/call",
		NULL,
	};
	static char *envp[] = { "PATH=/bin", NULL };
	struct state *state = data;
	int tries;

	/* Under pressure the program itself may be what there is no memory for. */
	for (tries = 0; tries < 20 && !state->called; tries++)
		state->status = call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

static bool program_is_stuck(void *data)
{
	struct state *state = data;

	return vmalloc_call_is_stuck(&state->call);
}

static void expect_from_program(struct kunit *test, bool victim, gfp_t gfp)
{
	struct state *state = test->priv;
	struct vmalloc_call *call = &state->call;
	const struct timed_call timed = {
		.function = run_program,
		.data = state,
		.progress = &alloc_watch_progress,
		.is_stuck = program_is_stuck,
	};

	state->wants_victim = victim;
	state->called = false;
	*call = (struct vmalloc_call){
		.alloc = alloc_vmalloc,
		.size = HARNESS_TAKES_BACK ? PMD_SIZE + PAGE_SIZE : PMD_SIZE,
		.gfp = gfp | __GFP_NOFAIL,
		.plan = { .first = 1, .count = 5 },
	};
	vmalloc_call_place(call);
	tracked_task_prepare(0);
	if (timed_call_run(&timed)) {
		KUNIT_FAIL(test, "the call does not return, %u sleeps", tracked_tasks[0].sleeps);
		return;
	}
	vmalloc_place_next_region();
	kunit_info(test, "gfp %#x: %s, %u refusals, %u sleeps, status %d\n",
		   (__force unsigned int)gfp, call->addr ? "memory" : "NULL", call->did.failed,
		   call->did.sleeps, state->status);
	KUNIT_EXPECT_TRUE_MSG(test, state->called, "the program was not run: %d",
			      state->status);
	KUNIT_EXPECT_TRUE_MSG(test, call->fatal, "no fatal signal was pending");
	KUNIT_EXPECT_EQ_MSG(test, state->was_victim, victim, "the OOM killer did not choose it");
	KUNIT_EXPECT_TRUE_MSG(test, call->addr, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, call->did.unslept, 0u, "tried again without having slept");
	/* Once it has its memory it has to die, of what it was to die of. */
	KUNIT_EXPECT_EQ_MSG(test, state->status, SIGKILL, "it was not killed");
	if (call->addr)
		KUNIT_EXPECT_TRUE(test, vmalloc_call_sound(call));
	vmalloc_call_free(call);
	KUNIT_EXPECT_FALSE_MSG(test, vmalloc_call_left(call), "areas, objects or pages left");
}

/* The parameters of a case of a program that is being killed. */
struct program_param {
	bool victim; /* of the OOM killer */
	gfp_t masks[2];
};

static void killed_program(struct kunit *test)
{
	const struct program_param *param = harness_param(test);

	expect_from_program(test, param->victim, param->masks[0]);
	expect_from_program(test, param->victim, param->masks[1]);
}

/* ---- many callers at once */

static const gfp_t many_masks[CALLS] = {
	GFP_KERNEL, GFP_NOFS, GFP_NOIO, GFP_KERNEL | __GFP_ZERO,
};

static void many_call(struct caller *caller, unsigned int nth)
{
	struct tracked_task *tracked = tracked_task_prepare(caller->slot);
	struct vmalloc_call call = {
		.alloc = alloc_vmalloc,
		/* Mapped by one table of the last level, where more cannot be taken back. */
		.size = (HARNESS_TAKES_BACK ? PMD_SIZE : PMD_SIZE / 2) + caller->slot * PAGE_SIZE,
		.gfp = many_masks[nth] | __GFP_NOFAIL,
		.start = caller->starts[nth],
	};
	ktime_t begun;

	tracked->start = call.start;
	tracked->plan.seed = (caller->slot * CALLS + nth + 1) * 2654435761U;
	tracked->random = tracked->plan.seed;
	tracked_task_start(tracked);
	begun = ktime_get();
	call.addr = call.alloc(call.size, call.gfp);
	progress_done_since(begun);
	tracked_task_stop(tracked);
	caller->state->progress++;
	caller->failed += tracked->failed;
	caller->sleeps += tracked->sleeps;
	caller->unslept += tracked->unslept + (call.addr && tracked->owes_sleep);
	caller->nulls += !call.addr;
	caller->bad += call.addr && !vmalloc_call_sound(&call);
	vmalloc_call_free(&call);
	caller->left += vmalloc_call_areas_left(&call);
}

static int many_thread(void *data)
{
	struct caller *caller = data;
	struct state *state = caller->state;
	unsigned int nth;

	for (nth = 0; nth < CALLS; nth++)
		many_call(caller, nth);
	if (atomic_dec_and_test(&state->running))
		complete(&state->done);
	return 0;
}

static void many_run(void *data)
{
	struct state *state = data;
	unsigned int i;

	atomic_set(&state->running, CALLERS);
	for (i = 0; i < CALLERS; i++) {
		if (!IS_ERR(kthread_run(many_thread, &state->callers[i], "harness/%u", i)))
			continue;
		state->callers[i].bad++;
		if (atomic_dec_and_test(&state->running))
			complete(&state->done);
	}
	wait_for_completion(&state->done);
}

static bool many_are_stuck(void *unused)
{
	bool stuck = false;
	int i;

	for (i = 0; i < TRACKED_TASKS; i++)
		stuck |= READ_ONCE(tracked_tasks[i].sleeps) >
			 READ_ONCE(tracked_tasks[i].failed) + VMALLOC_CALL_PATIENCE;
	for (i = 0; stuck && i < TRACKED_TASKS; i++)
		WRITE_ONCE(tracked_tasks[i].parked, true);
	return stuck;
}

static void nofail_many_callers(struct kunit *test)
{
	struct state *state = test->priv;
	const struct timed_call timed = {
		.function = many_run,
		.data = state,
		.progress = &state->progress,
		.is_stuck = many_are_stuck,
	};
	struct caller *callers = state->callers, sum = {};
	long before = vmalloc_pages_count(), drift;
	unsigned int i, j;

	memset(tracked_tasks, 0, sizeof(tracked_tasks));
	for (i = 0; i < CALLERS; i++) {
		callers[i].state = state;
		callers[i].slot = i + 1;
		for (j = 0; j < CALLS; j++) {
			callers[i].starts[j] = vmalloc_place_region();
			vmalloc_place_next_region();
		}
	}
	if (timed_call_run(&timed)) {
		KUNIT_FAIL(test, "not all calls return");
		return;
	}
	for (i = 0; i < CALLERS; i++) {
		sum.nulls += callers[i].nulls;
		sum.bad += callers[i].bad;
		sum.left += callers[i].left;
		sum.failed += callers[i].failed;
		sum.sleeps += callers[i].sleeps;
		sum.unslept += callers[i].unslept;
	}
	kunit_info(test, "%u callers, %u calls each: %u refusals, %u NULL, %u sleeps\n", CALLERS,
		   CALLS, sum.failed, sum.nulls, sum.sleeps);
	KUNIT_EXPECT_GE_MSG(test, sum.failed, (unsigned int)CALLERS, "hardly anything failed");
	KUNIT_EXPECT_EQ_MSG(test, sum.nulls, 0u, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, sum.bad, 0u, "memory wrong, or a thread that did not start");
	KUNIT_EXPECT_EQ_MSG(test, sum.left, 0u, "areas left");
	KUNIT_EXPECT_EQ_MSG(test, sum.unslept, 0u, "tried again without having slept");
	drift = vmalloc_pages_drift(before);
	drift = abs(drift);
	KUNIT_EXPECT_LT_MSG(test, drift, VMALLOC_PAGES_STRAY, "the count of vmalloc pages has drifted");
}

/* ---- the suite */

#define NO_ROOM_CASE(case_name, ...)							\
	HARNESS_CASE_PARAM(case_name, no_room, struct no_room_param, __VA_ARGS__)
#define PROGRAM_CASE(case_name, ...)							\
	HARNESS_CASE_PARAM(case_name, killed_program, struct program_param, __VA_ARGS__)

static struct kunit_case vmalloc_nofail_wait_cases[] = {
	NO_ROOM_CASE(nofail_no_room, .masks = { GFP_KERNEL, GFP_NOFS, GFP_NOIO | __GFP_ZERO }),
	/* Who waits for long should be told of; __GFP_NOWARN is what keeps it out of the log here. */
	NO_ROOM_CASE(nofail_no_room_is_told, .masks = { GFP_KERNEL }, .warnings = 1),
	/* A sleep that a signal ends would be none. */
	NO_ROOM_CASE(nofail_no_room_killed, .masks = { GFP_KERNEL }, .killed = true),
	KUNIT_CASE(nofail_no_descriptors),
	PROGRAM_CASE(nofail_killed_program, .masks = { GFP_KERNEL, GFP_NOFS }),
	PROGRAM_CASE(nofail_oom_victim, .masks = { GFP_KERNEL, GFP_NOIO }, .victim = true),
	KUNIT_CASE(nofail_many_callers),
	KUNIT_CASE(control_no_room_may_fail),
	KUNIT_CASE(control_no_descriptors_may_fail),
	KUNIT_CASE(control_huge_gives_way),
	{}
};

static int wait_init(struct kunit *test)
{
	struct state *state = kzalloc(sizeof(*state), GFP_KERNEL);

	if (!state)
		return -ENOMEM;
	init_completion(&state->done);
	state->folder = debugfs_create_dir("vmalloc-nofail-wait", NULL);
	debugfs_create_file("call", 0200, state->folder, state, &program_file);
	test->priv = state;
	return 0;
}

static void wait_exit(struct kunit *test)
{
	struct state *state = test->priv;

	/* A call that does not return still looks at it. */
	if (!state || timed_call_is_stuck())
		return;
	debugfs_remove_recursive(state->folder);
	kfree(state);
}

static int wait_open(void)
{
	out_of_memory_of_kernel = (void *)symbol_address("out_of_memory");
	return out_of_memory_of_kernel ? vmalloc_call_open() : -ENOENT;
}

#define vmalloc_nofail_wait_NAME "vmalloc-nofail-wait"
HARNESS_SUITE(vmalloc_nofail_wait, wait_open, vmalloc_call_close, .init = wait_init,
	      .exit = wait_exit);
MODULE_DESCRIPTION("Waiting of vmalloc with __GFP_NOFAIL for room and descriptors");
MODULE_LICENSE("GPL");
