// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: many tasks, the oldest of which ends as a new one begins. Each has a kernel stack, page
 * tables and some pages of its own; with VMAP_STACK the stack comes from vmalloc.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

#define MOST 2000
#define OWN_PAGES 2
#define ROOM 3 / 4 /* of the tasks that the kernel allows for its RAM: the others need some too */

/* Whether the OOM killer lists all tasks: with hundreds of them its reports overrun the log. */
#define DUMP_TASKS "/proc/sys/vm/oom_dump_tasks"

static unsigned long most;
static char dump_tasks[16];
static volatile unsigned long *begun;

static void begin(void)
{
	unsigned long allowed = strtoul(load_read("/proc/sys/kernel/threads-max"), NULL, 10) * ROOM;

	most = load.intensity;
	if (most > allowed) {
		printf("%lu tasks are more than there may be: %lu\n", most, allowed);
		most = allowed;
	}
	begun = load_shared(sizeof(*begun));
	snprintf(dump_tasks, sizeof(dump_tasks), "%s", load_read(DUMP_TASKS));
	load_write(DUMP_TASKS, "0");
}

static void end(void)
{
	load_write(DUMP_TASKS, dump_tasks);
}

static pid_t one_more(void)
{
	static char own[OWN_PAGES * LOAD_PAGE];
	pid_t parent = getpid(), pid = fork();
	size_t at;

	if (pid > 0)
		(*begun)++;
	if (pid < 0 && errno != EAGAIN && errno != ENOMEM)
		load_fail("fork");
	if (pid)
		return pid;
	load_die_with_parent(parent);
	for (at = 0; at < sizeof(own); at += LOAD_PAGE)
		*(volatile char *)(own + at) = 1;
	for (;;)
		pause();
}

static void work(unsigned int worker)
{
	static pid_t tasks[MOST];
	unsigned long next = 0, due;

	(void)worker;
	for (;; load_throttle()) {
		due = load_due(most);
		next = (next + 1) % due;
		if (tasks[next] > 0) {
			kill(tasks[next], SIGKILL);
			waitpid(tasks[next], NULL, 0);
		}
		tasks[next] = one_more();
	}
}

/* All are there, and as many have ended. */
static bool on(void)
{
	return *begun > 2 * most;
}

int main(int argc, char **argv)
{
	static const struct load_kind tasks = {
		.intensity = "tasks",
		.least = 1,
		.most = MOST,
		.workers = 1,
		.begin = begin,
		.work = work,
		.on = on,
		.end = end,
	};

	return load_main(&tasks, argc, argv);
}
