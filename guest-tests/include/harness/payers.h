/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs that pay when memory runs out: each holds anonymous memory, and the OOM killer takes
 * it first. One more, the walker, faults in a page each tick as any program would, and is what
 * calls the OOM killer: a request with GFP_NOFS does not, however long it waits. There is no swap
 * unless a load brings it, so that nothing but an OOM kill gets the memory back.
 *
 * A payer is a shell inside a write() to a file of debugfs. What it writes is the number of the
 * round that it was called in: who comes after that is turned away. All of them are there before
 * memory gets short, so that nobody has to be forked then:
 *
 *	payers_call(8);		they are there, and wait
 *	payers_fill(pages);	each takes so many pages
 *	payers_dismiss();	those that are left go
 */
#ifndef HARNESS_PAYERS_H
#define HARNESS_PAYERS_H

#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mman.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/wait.h>

#include <harness/compat.h>
#include <harness/progress.h>

#define PAYERS 12
#define PAYERS_PATIENCE (30 * HZ) /* for programs to start, fill and end */

static struct payer {
	struct task_struct *task;
	bool filled;
} payers[PAYERS + 1]; /* the first is the walker */

static DEFINE_SPINLOCK(payers_lock); /* who takes which place, and in which round */
static unsigned int payers_count, payers_there, payers_round;
static unsigned long payers_pages; /* how many each takes; 0: not yet */
static bool payers_leave, payers_rest; /* rest: the walker stands still */
static unsigned int payers_steps; /* pages that the walker got */
static DECLARE_WAIT_QUEUE_HEAD(payers_wait);
static struct dentry *payers_folder;

/* Touch @pages pages of new memory; how many it got before it was killed or told to leave. */
static unsigned long payer_touch(unsigned long pages)
{
	unsigned long at, addr;

	addr = vm_mmap(NULL, 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(addr))
		return 0;
	for (at = 0; at < pages; at++) {
		if (fatal_signal_pending(current) || READ_ONCE(payers_leave) ||
		    put_user(1, (u8 __user *)(addr + at * PAGE_SIZE)))
			break;
		cond_resched();
	}
	return at;
}

static void payer_walk(void)
{
	unsigned long addr;

	while (!READ_ONCE(payers_leave) && !fatal_signal_pending(current)) {
		if (READ_ONCE(payers_rest)) {
			schedule_timeout_killable(1);
			continue;
		}
		addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, 0);
		if (IS_ERR_VALUE(addr))
			return;
		payers_steps += !put_user(1, (u8 __user *)addr);
		vm_munmap(addr, PAGE_SIZE);
		schedule_timeout_killable(1);
	}
}

/* A place for the current task, or NULL: nobody has called it, or not now. */
static struct payer *payer_enter(unsigned int round)
{
	struct payer *payer = NULL;

	spin_lock(&payers_lock);
	if (round == payers_round && payers_there <= payers_count) {
		payer = &payers[payers_there];
		payer->task = get_task_struct(current);
		current->signal->oom_score_adj = payers_there ? OOM_SCORE_ADJ_MAX : OOM_SCORE_ADJ_MIN;
		WRITE_ONCE(payers_there, payers_there + 1);
	}
	spin_unlock(&payers_lock);
	return payer;
}

static void payer_is_full(struct payer *payer, unsigned int round)
{
	spin_lock(&payers_lock);
	if (round == payers_round) /* or the place is another's */
		WRITE_ONCE(payer->filled, true);
	spin_unlock(&payers_lock);
}

static ssize_t payer_write(struct file *file, const char __user *text, size_t count, loff_t *at)
{
	struct payer *payer;
	unsigned int round;
	bool walker;
	int error = kstrtouint_from_user(text, count, 10, &round);

	if (error)
		return error;
	payer = payer_enter(round);
	if (!payer)
		return -EBUSY;
	walker = payer == &payers[0];
	wake_up_all(&payers_wait);
	wait_event_killable(payers_wait, READ_ONCE(payers_pages) || READ_ONCE(payers_leave));
	if (!READ_ONCE(payers_leave) && !walker) {
		if (payer_touch(payers_pages) == payers_pages)
			payer_is_full(payer, round);
		wake_up_all(&payers_wait);
		wait_event_killable(payers_wait, READ_ONCE(payers_leave));
	}
	if (walker)
		payer_walk();
	return count;
}

static const struct file_operations payers_file = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = payer_write,
};

static __maybe_unused void payers_close(void)
{
	debugfs_remove_recursive(payers_folder);
}

/* @name: of the suite; a folder of debugfs is called so. */
static __maybe_unused int payers_open(const char *name)
{
	payers_folder = debugfs_create_dir(name, NULL);
	if (IS_ERR(payers_folder))
		return PTR_ERR(payers_folder);
	debugfs_create_file("pay", 0200, payers_folder, NULL, &payers_file);
	return 0;
}

/*
 * Start a shell that writes @round to @file of the suite's folder: 0 or -errno. It may not have come
 * to that yet.
 */
static int payers_shell(const char *file, unsigned int round)
{
	static char *envp[] = { "PATH=/bin", NULL };
	char command[96];
	char *argv[] = { "/bin/busybox", "sh", "-c", command, NULL };

	scnprintf(command, sizeof(command), "echo %u >/sys/kernel/debug/%pd/%s", round,
		  payers_folder, file);
	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC);
}

static bool payer_gone(const struct payer *payer)
{
	return !payer->task || READ_ONCE(payer->task->exit_state);
}

/*
 * How many the OOM killer has chosen, or have left. What one held is free soon after it was chosen,
 * and before it is gone. The walker does not count.
 */
static __maybe_unused unsigned int payers_gone(void)
{
	unsigned int i, gone = 0;

	for (i = 1; i < payers_there; i++)
		gone += payer_gone(&payers[i]) || tsk_is_oom_victim(payers[i].task);
	return gone;
}

/* End them all, and wait until their memory is free. Who was called and is not there yet: too late. */
static __maybe_unused void payers_dismiss(void)
{
	unsigned long until = jiffies + PAYERS_PATIENCE;
	unsigned int i;

	spin_lock(&payers_lock);
	payers_round++;
	spin_unlock(&payers_lock);
	WRITE_ONCE(payers_leave, true);
	wake_up_all(&payers_wait);
	for (i = 0; i < payers_there; i++) {
		while (!payer_gone(&payers[i]) && time_before(jiffies, until))
			msleep(10);
		if (payers[i].task)
			put_task_struct(payers[i].task);
		payers[i] = (struct payer){};
	}
	payers_there = 0;
}

/* Start @count payers, and the walker; 0 when all of them wait, or -errno. */
static __maybe_unused int payers_call(unsigned int count)
{
	unsigned int i;
	int error;

	if (WARN_ON(count > PAYERS))
		return -EINVAL;
	payers_count = count;
	payers_pages = 0;
	payers_steps = 0;
	WRITE_ONCE(payers_leave, false);
	WRITE_ONCE(payers_rest, false);
	for (i = 0; i <= count; i++) {
		error = payers_shell("pay", payers_round);
		if (!error && !wait_event_timeout(payers_wait, READ_ONCE(payers_there) > i,
						  PAYERS_PATIENCE))
			error = -ETIMEDOUT;
		if (error) {
			pr_err("harness: payer %u does not start: error %d\n", i, error);
			payers_dismiss();
			return error;
		}
		progress_done();
	}
	return 0;
}

static bool payers_settled(void)
{
	unsigned int i;

	for (i = 1; i < payers_there; i++) {
		if (!READ_ONCE(payers[i].filled) && !payer_gone(&payers[i]))
			return false;
	}
	return true;
}

/* Let each take @pages pages; 0 when they have them, or have died of it. */
static __maybe_unused int payers_fill(unsigned long pages)
{
	unsigned long until = jiffies + PAYERS_PATIENCE;

	WRITE_ONCE(payers_pages, pages);
	wake_up_all(&payers_wait);
	/* Who is killed meanwhile wakes nobody once it is gone. */
	while (!payers_settled() && time_before(jiffies, until))
		wait_event_timeout(payers_wait, payers_settled(), HZ / 20);
	return payers_settled() ? 0 : -ETIMEDOUT;
}

#endif
