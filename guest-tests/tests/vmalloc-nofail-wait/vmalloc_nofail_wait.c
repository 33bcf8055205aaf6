// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc with __GFP_NOFAIL waits for what another task has and will give back: room in the
 * address space, memory for the descriptors of an area. It sleeps meanwhile, says so in the log,
 * and gets what it asked for, be the caller a kernel thread, a program that is being killed, a
 * victim of the OOM killer, or one of many.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/oom.h>
#include <linux/umh.h>

#include <harness/memory.h>
#include <harness/sweep.h>
#include <harness/vcall.h>

#define SMALL (4 * PAGE_SIZE)

/* ---- exhaustion that another task ends */

/* Room for one area of a size that needs no other: the area and its guard page. */
static unsigned long window_from, window_to;

static void window_of(unsigned long size)
{
	/* Between what the kernel takes first and what fresh_find() hands out. */
	window_from = ALIGN(VMALLOC_START, PUD_SIZE) + (FRESH_SKIP - 1) * PUD_SIZE;
	window_to = window_from + size + PAGE_SIZE;
}

static void *blocker; /* sits in the window */
static unsigned int sleeps_awaited;

#define POLLS_AT_MOST (5 * BOUNDED_POLLS_PER_SECOND)

static unsigned int polls;

/* The other task waits until the caller has slept a few times. If it never does, it helps too. */
static bool time_to_help(void)
{
	return READ_ONCE(subjects[0].sleeps) >= sleeps_awaited || ++polls > POLLS_AT_MOST;
}

static void leave_window(void)
{
	if (blocker && time_to_help()) {
		vfree(blocker);
		blocker = NULL;
	}
}

static void give_descriptors(void)
{
	if (time_to_help())
		WRITE_ONCE(subjects[0].plan.first, 0);
}

static bool block_window(struct kunit *test, unsigned long size)
{
	struct vcall call = { .alloc = alloc_vmalloc, .size = size, .gfp = GFP_KERNEL };

	window_of(size);
	call.from = window_from;
	call.to = window_to;
	vm_unmap_aliases();
	sleeps_awaited = 3;
	polls = 0;
	if (vcall_run(&call) || !call.addr) {
		KUNIT_FAIL(test, "the window cannot be filled");
		return false;
	}
	blocker = call.addr;
	return true;
}

/* Make a call that has to wait until it is helped; false if there is nothing to judge. */
static bool wait_and_judge(struct kunit *test, struct vcall *call)
{
	if (vcall_run(call)) {
		KUNIT_FAIL(test, "the call does not return, %u sleeps", subjects[0].sleeps);
		return false;
	}
	kunit_info(test, "gfp %#x: %s, %u sleeps up to %lu ticks, %u warnings, %u of %u refused\n",
		   (__force unsigned int)call->gfp, call->addr ? "memory" : "NULL",
		   call->did.sleeps, call->did.longest, call->did.warned, call->did.failed,
		   call->did.requests);
	KUNIT_EXPECT_EQ_MSG(test, call->scope, call->outer, "scopes of the task were changed");
	if (call->addr)
		KUNIT_EXPECT_TRUE(test, vcall_sound(call));
	vfree(blocker);
	blocker = NULL;
	return true;
}

static void expect_waited(struct kunit *test, struct vcall *call)
{
	if (!wait_and_judge(test, call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, call->addr, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_GE_MSG(test, call->did.sleeps, sleeps_awaited, "does not sleep");
	KUNIT_EXPECT_LE_MSG(test, call->did.longest, (unsigned long)SWEEP_LONGEST_SLEEP,
			    "slept far longer than it takes for room to come free");
	KUNIT_EXPECT_EQ_MSG(test, call->did.shortest, (unsigned long)SWEEP_WAIT,
			    "waits for more than a tick before it tries again");
	vcall_free(call);
	vm_unmap_aliases();
	KUNIT_EXPECT_FALSE_MSG(test, vcall_left(call), "areas, objects or pages left");
}

static struct vcall in_window(gfp_t gfp)
{
	return (struct vcall){
		.alloc = alloc_vmalloc,
		.size = SMALL,
		.gfp = gfp | __GFP_NOWARN,
		.from = window_from,
		.to = window_to,
		.meanwhile = leave_window,
	};
}

static void nofail_no_room(struct kunit *test)
{
	static const gfp_t masks[] = { GFP_KERNEL, GFP_NOFS, GFP_NOIO | __GFP_ZERO };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		struct vcall call;

		if (!block_window(test, SMALL))
			return;
		call = in_window(masks[i] | __GFP_NOFAIL);
		expect_waited(test, &call);
	}
}

/* Who waits for long should be told of; __GFP_NOWARN is what keeps it out of the log here. */
static void nofail_no_room_is_told(struct kunit *test)
{
	struct vcall call;

	if (!block_window(test, SMALL))
		return;
	call = in_window(GFP_KERNEL | __GFP_NOFAIL);
	expect_waited(test, &call);
	KUNIT_EXPECT_GE(test, call.did.warned, 1u);
}

/* A sleep that a signal ends would be none. */
static void nofail_no_room_killed(struct kunit *test)
{
	struct vcall call;

	if (!block_window(test, SMALL))
		return;
	call = in_window(GFP_KERNEL | __GFP_NOFAIL);
	call.killed = true;
	expect_waited(test, &call);
	KUNIT_EXPECT_TRUE_MSG(test, call.fatal, "the signal is gone");
}

/* Neither the first descriptor of an area nor the second can be had for a while. */
static void nofail_no_descriptors(struct kunit *test)
{
	unsigned int step;

	sleeps_awaited = 3;
	for (step = 1; step <= 2; step++) {
		struct vcall call = {
			.alloc = alloc_vmalloc,
			.size = SMALL,
			.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN,
			.plan = {
				.insist = true, .first = step, .step = step, .count = UINT_MAX,
			},
			.meanwhile = give_descriptors,
		};

		polls = 0;
		expect_waited(test, &call);
		KUNIT_EXPECT_GE_MSG(test, call.did.failed, sleeps_awaited, "was not failed");
	}
}

/* Without the flag nobody waits. */
static void control_no_room_may_fail(struct kunit *test)
{
	struct vcall call;

	if (!block_window(test, SMALL))
		return;
	call = in_window(GFP_KERNEL);
	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "waits although it may fail");
	KUNIT_EXPECT_EQ(test, call.did.sleeps, 0u);
	vcall_free(&call);
}

static void control_no_descriptors_may_fail(struct kunit *test)
{
	struct vcall call = {
		.alloc = alloc_vmalloc,
		.size = SMALL,
		.gfp = GFP_KERNEL | __GFP_NOWARN,
		.plan = { .insist = true, .first = 1, .count = UINT_MAX },
		.meanwhile = give_descriptors,
	};

	polls = 0;
	sleeps_awaited = 3;
	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE_MSG(test, !call.addr, "waits although it may fail");
	KUNIT_EXPECT_EQ(test, call.did.sleeps, 0u);
	vcall_free(&call);
}

/*
 * Where there is room, but none in which a huge mapping would lie right, small pages do: nobody
 * waits for that. The window is odd by a page, and the one place that would serve is taken.
 */
static void control_huge_gives_way(struct kunit *test)
{
	struct vcall call = { .alloc = alloc_huge, .size = PMD_SIZE };

	if (!HARNESS_HUGE_GIVES_WAY)
		harness_skip(test, "known in mainline: waits for room aligned for huge pages");
	window_of(PMD_SIZE);
	call.gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN;
	call.from = window_from + PAGE_SIZE;
	call.to = window_to + PAGE_SIZE;
	vm_unmap_aliases();
	if (!wait_and_judge(test, &call))
		return;
	KUNIT_EXPECT_TRUE(test, call.addr);
	KUNIT_EXPECT_EQ_MSG(test, call.did.sleeps, 0u, "waits for what it does not need");
	vcall_free(&call);
}

/* ---- a program that is being killed */

static bool user_victim, user_was_victim, user_called;
static int user_status;
static struct dentry *user_folder;
static bool (*user_out_of_memory)(struct oom_control *control);

/* In the context of the program: whatever it writes. */
static ssize_t user_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	struct oom_control control = { .gfp_mask = GFP_KERNEL };
	unsigned long tries = user_victim ? totalram_pages() : 0;

	send_sig(SIGKILL, current, 1);
	/*
	 * Out of memory already, the OOM killer takes the one that is dying anyway; but first it
	 * asks those who would rather give memory back, as some loads do, and is content with a page.
	 */
	while (tries-- && !tsk_is_oom_victim(current)) {
		user_out_of_memory(&control);
		cond_resched();
	}
	user_was_victim = tsk_is_oom_victim(current);
	user_called = true;
	vcall_make(&vcall_now);
	return count;
}

static const struct file_operations user_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = user_write,
};

static void user_work(void)
{
	static char *argv[] = {
		"/bin/busybox", "sh", "-c", "echo >/sys/kernel/debug/vmalloc-nofail-wait/call",
		NULL,
	};
	static char *envp[] = { "PATH=/bin", NULL };
	int tries;

	/* Under pressure the program itself may be what there is no memory for. */
	for (tries = 0; tries < 20 && !user_called; tries++)
		user_status = call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

static void expect_from_user(struct kunit *test, bool victim, gfp_t gfp)
{
	struct vcall call = {
		.alloc = alloc_vmalloc,
		.size = HARNESS_TAKES_BACK ? PMD_SIZE + PAGE_SIZE : PMD_SIZE,
		.gfp = gfp | __GFP_NOFAIL,
		.plan = { .first = 1, .count = 5 },
	};
	const struct bounded bounded = {
		.function = user_work,
		.progress = &watch_life,
		.hopeless = vcall_hopeless,
	};

	user_victim = victim;
	user_called = false;
	vcall_place(&call);
	vcall_now = call;
	memset(&subjects[0], 0, sizeof(subjects[0]));
	if (bounded_run(&bounded)) {
		KUNIT_FAIL(test, "the call does not return, %u sleeps", subjects[0].sleeps);
		return;
	}
	call = vcall_now;
	fresh_advance();
	kunit_info(test, "gfp %#x: %s, %u refusals, %u sleeps, status %d\n",
		   (__force unsigned int)gfp, call.addr ? "memory" : "NULL", call.did.failed,
		   call.did.sleeps, user_status);
	KUNIT_EXPECT_TRUE_MSG(test, user_called, "the program was not run: %d", user_status);
	KUNIT_EXPECT_TRUE_MSG(test, call.fatal, "no fatal signal was pending");
	KUNIT_EXPECT_EQ_MSG(test, user_was_victim, victim, "the OOM killer did not choose it");
	KUNIT_EXPECT_TRUE_MSG(test, call.addr, "NULL in spite of __GFP_NOFAIL");
	KUNIT_EXPECT_EQ_MSG(test, call.did.unslept, 0u, "tried again without having slept");
	/* Once it has its memory it has to die, of what it was to die of. */
	KUNIT_EXPECT_EQ_MSG(test, user_status, SIGKILL, "it was not killed");
	if (call.addr)
		KUNIT_EXPECT_TRUE(test, vcall_sound(&call));
	vcall_free(&call);
	KUNIT_EXPECT_FALSE_MSG(test, vcall_left(&call), "areas, objects or pages left");
}

static void nofail_killed_program(struct kunit *test)
{
	expect_from_user(test, false, GFP_KERNEL);
	expect_from_user(test, false, GFP_NOFS);
}

static void nofail_oom_victim(struct kunit *test)
{
	expect_from_user(test, true, GFP_KERNEL);
	expect_from_user(test, true, GFP_NOIO);
}

/* ---- many callers at once */

#define CALLERS (SUBJECTS - 1)
#define CALLS 4

static struct caller {
	unsigned int slot;
	unsigned long starts[CALLS];
	/* What came of its calls. */
	unsigned int nulls, bad, left, failed, sleeps, unslept;
} callers[CALLERS];

static unsigned int many_life;
static atomic_t many_running;
static DECLARE_COMPLETION(many_done);

static const gfp_t many_masks[CALLS] = {
	GFP_KERNEL, GFP_NOFS, GFP_NOIO, GFP_KERNEL | __GFP_ZERO,
};

static void many_call(struct caller *caller, unsigned int nth)
{
	struct subject *subject = subject_begin(caller->slot);
	struct vcall call = {
		.alloc = alloc_vmalloc,
		/* Mapped by one table of the last level, where more cannot be taken back. */
		.size = (HARNESS_TAKES_BACK ? PMD_SIZE : PMD_SIZE / 2) + caller->slot * PAGE_SIZE,
		.gfp = many_masks[nth] | __GFP_NOFAIL,
		.start = caller->starts[nth],
	};
	ktime_t begun;

	subject->start = call.start;
	subject->plan.seed = (caller->slot * CALLS + nth + 1) * 2654435761U;
	subject->random = subject->plan.seed;
	subject_go(subject);
	begun = ktime_get();
	call.addr = call.alloc(call.size, call.gfp);
	progress_done_since(begun);
	subject_end(subject);
	many_life++;
	caller->failed += subject->failed;
	caller->sleeps += subject->sleeps;
	caller->unslept += subject->unslept + (call.addr && subject->owes);
	caller->nulls += !call.addr;
	caller->bad += call.addr && !vcall_sound(&call);
	vcall_free(&call);
	caller->left += vcall_areas_left(&call);
}

static int many_thread(void *data)
{
	unsigned int nth;

	for (nth = 0; nth < CALLS; nth++)
		many_call(data, nth);
	if (atomic_dec_and_test(&many_running))
		complete(&many_done);
	return 0;
}

static void many_work(void)
{
	unsigned int i;

	atomic_set(&many_running, CALLERS);
	reinit_completion(&many_done);
	for (i = 0; i < CALLERS; i++) {
		if (!IS_ERR(kthread_run(many_thread, &callers[i], "harness/%u", i)))
			continue;
		callers[i].bad++;
		if (atomic_dec_and_test(&many_running))
			complete(&many_done);
	}
	wait_for_completion(&many_done);
}

static bool many_hopeless(void)
{
	bool hopeless = false;
	int i;

	for (i = 0; i < SUBJECTS; i++)
		hopeless |= READ_ONCE(subjects[i].sleeps) >
			    READ_ONCE(subjects[i].failed) + VCALL_PATIENCE;
	for (i = 0; hopeless && i < SUBJECTS; i++)
		WRITE_ONCE(subjects[i].parked, true);
	return hopeless;
}

static void nofail_many_callers(struct kunit *test)
{
	const struct bounded bounded = {
		.function = many_work,
		.progress = &many_life,
		.hopeless = many_hopeless,
	};
	struct caller sum = {};
	long before = vcall_nr_pages(), drift;
	unsigned int i, j;

	memset(subjects, 0, sizeof(subjects));
	for (i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){ .slot = i + 1 };
		for (j = 0; j < CALLS; j++) {
			callers[i].starts[j] = fresh_region + fresh_offset;
			fresh_advance();
		}
	}
	if (bounded_run(&bounded)) {
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
	drift = vcall_drift(before);
	drift = abs(drift);
	KUNIT_EXPECT_LT_MSG(test, drift, VCALL_STRAY, "the count of vmalloc pages has drifted");
}

/* ---- the suite */

static struct kunit_case vmalloc_nofail_wait_cases[] = {
	KUNIT_CASE(nofail_no_room),
	KUNIT_CASE(nofail_no_room_is_told),
	KUNIT_CASE(nofail_no_room_killed),
	KUNIT_CASE(nofail_no_descriptors),
	KUNIT_CASE(nofail_killed_program),
	KUNIT_CASE(nofail_oom_victim),
	KUNIT_CASE(nofail_many_callers),
	KUNIT_CASE(control_no_room_may_fail),
	KUNIT_CASE(control_no_descriptors_may_fail),
	KUNIT_CASE(control_huge_gives_way),
	{}
};

static int wait_open(void)
{
	int error;

	user_out_of_memory = (void *)symbol_address("out_of_memory");
	if (!user_out_of_memory)
		return -ENOENT;
	error = vcall_open();
	if (error)
		return error;
	user_folder = debugfs_create_dir("vmalloc-nofail-wait", NULL);
	debugfs_create_file("call", 0200, user_folder, NULL, &user_file);
	return 0;
}

static void wait_close(void)
{
	debugfs_remove_recursive(user_folder);
	vcall_close();
}

#define vmalloc_nofail_wait_NAME "vmalloc-nofail-wait"
HARNESS_SUITE(vmalloc_nofail_wait, wait_open, wait_close);
MODULE_DESCRIPTION("Waiting of vmalloc with __GFP_NOFAIL for room and descriptors");
MODULE_LICENSE("GPL");
