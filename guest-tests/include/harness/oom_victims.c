// SPDX-License-Identifier: GPL-2.0-only
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/wait.h>

#include <harness/oom_victims.h>
#include <harness/progress.h>

static struct victim {
	struct task_struct *task;
	bool filled;
} victims[OOM_VICTIMS + 1]; /* the first is the trigger */

static DEFINE_SPINLOCK(lock); /* who takes which place, and in which round */
static unsigned int started, there, round_now;
static unsigned long pages_each; /* 0: not yet */
static bool leave, trigger_paused;
static DECLARE_WAIT_QUEUE_HEAD(changed);
static struct dentry *folder;

/* ---- in the program */

unsigned long oom_victims_touch(unsigned long pages)
{
	unsigned long at, addr;

	addr = vm_mmap(NULL, 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(addr))
		return 0;
	for (at = 0; at < pages; at++) {
		if (fatal_signal_pending(current) || READ_ONCE(leave) ||
		    put_user(1, (u8 __user *)(addr + at * PAGE_SIZE)))
			break;
		cond_resched();
	}
	return at;
}

static void run_trigger(void)
{
	unsigned long addr;

	while (!READ_ONCE(leave) && !fatal_signal_pending(current)) {
		if (READ_ONCE(trigger_paused)) {
			schedule_timeout_killable(1);
			continue;
		}
		addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, 0);
		if (IS_ERR_VALUE(addr))
			return;
		(void)put_user(1, (u8 __user *)addr);
		vm_munmap(addr, PAGE_SIZE);
		schedule_timeout_killable(1);
	}
}

/* A place for the current task, or NULL: nobody has started it, or not now. */
static struct victim *enter(unsigned int round)
{
	struct victim *victim = NULL;

	spin_lock(&lock);
	if (round == round_now && there <= started) {
		victim = &victims[there];
		victim->task = get_task_struct(current);
		current->signal->oom_score_adj = there ? OOM_SCORE_ADJ_MAX : OOM_SCORE_ADJ_MIN;
		WRITE_ONCE(there, there + 1);
	}
	spin_unlock(&lock);
	return victim;
}

static void mark_filled(struct victim *victim, unsigned int round)
{
	spin_lock(&lock);
	if (round == round_now) /* or the place is another's */
		WRITE_ONCE(victim->filled, true);
	spin_unlock(&lock);
}

static ssize_t victim_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	struct victim *victim;
	unsigned int round;
	bool trigger;
	int error = kstrtouint_from_user(text, count, 10, &round);

	if (error)
		return error;
	victim = enter(round);
	if (!victim)
		return -EBUSY;
	trigger = victim == &victims[0];
	wake_up_all(&changed);
	wait_event_killable(changed, READ_ONCE(pages_each) || READ_ONCE(leave));
	if (!READ_ONCE(leave) && !trigger) {
		if (oom_victims_touch(pages_each) == pages_each)
			mark_filled(victim, round);
		wake_up_all(&changed);
		wait_event_killable(changed, READ_ONCE(leave));
	}
	if (trigger)
		run_trigger();
	return count;
}

static const struct file_operations victim_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = victim_write,
};

/* ---- in the test */

void oom_victims_close(void)
{
	debugfs_remove_recursive(folder);
}

int oom_victims_open(const char *name)
{
	folder = debugfs_create_dir(name, NULL);
	if (IS_ERR(folder))
		return PTR_ERR(folder);
	oom_victims_add_file("victim", NULL, &victim_file);
	return 0;
}

struct dentry *oom_victims_add_file(const char *name, void *data,
				    const struct file_operations *operations)
{
	return debugfs_create_file(name, 0200, folder, data, operations);
}

int oom_victims_shell(const char *file, unsigned int number)
{
	static char *envp[] = { "PATH=/bin", NULL };
	char command[96];
	char *argv[] = { "/bin/busybox", "sh", "-c", command, NULL };

	scnprintf(command, sizeof(command), "echo %u >/sys/kernel/debug/%pd/%s", number, folder,
		  file);
	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC);
}

void oom_victims_pause_trigger(bool pause)
{
	WRITE_ONCE(trigger_paused, pause);
}

static bool has_ended(const struct victim *victim)
{
	return !victim->task || READ_ONCE(victim->task->exit_state);
}

unsigned int oom_victims_gone(void)
{
	unsigned int i, gone = 0;

	for (i = 1; i < there; i++)
		gone += has_ended(&victims[i]) || tsk_is_oom_victim(victims[i].task);
	return gone;
}

unsigned int oom_victims_left(void)
{
	return started - oom_victims_gone();
}

/* Who was started and is not there yet comes too late. */
void oom_victims_dismiss(void)
{
	unsigned long until = jiffies + OOM_VICTIMS_PATIENCE;
	unsigned int i;

	spin_lock(&lock);
	round_now++;
	spin_unlock(&lock);
	WRITE_ONCE(leave, true);
	wake_up_all(&changed);
	for (i = 0; i < there; i++) {
		while (!has_ended(&victims[i]) && time_before(jiffies, until))
			msleep(10);
		if (victims[i].task)
			put_task_struct(victims[i].task);
		victims[i] = (struct victim){};
	}
	there = 0;
}

int oom_victims_start(unsigned int count)
{
	unsigned int i;
	int error;

	if (WARN_ON(count > OOM_VICTIMS))
		return -EINVAL;
	started = count;
	pages_each = 0;
	WRITE_ONCE(leave, false);
	WRITE_ONCE(trigger_paused, false);
	for (i = 0; i <= count; i++) {
		error = oom_victims_shell("victim", round_now);
		if (!error && !wait_event_timeout(changed, READ_ONCE(there) > i,
						  OOM_VICTIMS_PATIENCE))
			error = -ETIMEDOUT;
		if (error) {
			pr_err("harness: OOM victim %u does not start: error %d\n", i, error);
			oom_victims_dismiss();
			return error;
		}
		progress_done();
	}
	return 0;
}

static bool all_settled(void)
{
	unsigned int i;

	for (i = 1; i < there; i++) {
		if (!READ_ONCE(victims[i].filled) && !has_ended(&victims[i]))
			return false;
	}
	return true;
}

int oom_victims_fill(unsigned long pages)
{
	unsigned long until = jiffies + OOM_VICTIMS_PATIENCE;

	WRITE_ONCE(pages_each, pages);
	wake_up_all(&changed);
	/* Who is killed meanwhile wakes nobody once it is gone. */
	while (!all_settled() && time_before(jiffies, until))
		wait_event_timeout(changed, all_settled(), HZ / 20);
	return all_settled() ? 0 : -ETIMEDOUT;
}
