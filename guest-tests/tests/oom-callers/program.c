// SPDX-License-Identifier: GPL-2.0-only
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include <harness/oom_victims.h>
#include <harness/symbol.h>

#include "oom_callers.h"

/* ---- the OOM killer, called off */

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

void call_off(struct state *state, bool off)
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

int program_start(struct state *state, void (*work)(struct state *state), unsigned long pages)
{
	int error;

	state->work = work;
	state->pages = pages;
	error = oom_victims_shell("call", state->number);
	if (!error && !wait_for_completion_timeout(&state->there, OOM_VICTIMS_PATIENCE))
		error = -ETIMEDOUT;
	return error;
}

void program_let_go(struct state *state)
{
	smp_store_release(&state->go, true);
	wake_up_all(&state->changed);
	wait_for_completion(&state->done);
}

void program_end(struct state *state)
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

int program_open(struct state *state)
{
	static const char *const names[] = { "out_of_memory" };
	static unsigned int programs;
	int error;

	state->number = ++programs;
	spin_lock_init(&state->lock);
	init_waitqueue_head(&state->changed);
	init_completion(&state->there);
	init_completion(&state->done);
	state->oom_probe.post_handler = out_of_memory_post;
	error = probe_function(&state->oom_probe, names, ARRAY_SIZE(names), out_of_memory_entry);
	if (!error)
		state->file = oom_victims_add_file("call", state, &program_file);
	return error;
}

void program_close(struct state *state)
{
	debugfs_remove(state->file);
	probe_remove(&state->oom_probe);
}
