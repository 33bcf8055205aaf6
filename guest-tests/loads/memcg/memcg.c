// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: a memory cgroup at its limit, while the machine has memory left. Its task uses a multiple
 * of the limit; as much again as the limit may be in swap, another load's included. So the kernel
 * reclaims from the group first, and swaps; from an intensity of some 200 % on its OOM killer kills
 * within the group.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "swap.h"
#include "working_set.h"

#define GROUPS "/tmp/memcg"
#define GROUP GROUPS "/load"
#define LIMIT_PERCENT 30 /* of the available memory */
#define LEAST_LIMIT (4UL << 20)

static void begin(void)
{
	unsigned long limit = load_available() / 100 * LIMIT_PERCENT / LOAD_PAGE * LOAD_PAGE;
	char text[32];

	if (limit < LEAST_LIMIT)
		limit = LEAST_LIMIT;
	working_set_begin(limit / 100 * load.intensity / LOAD_PAGE * LOAD_PAGE);
	swap_on_zram(limit);
	if (mkdir(GROUPS, 0755) < 0 || mount("cgroup2", GROUPS, "cgroup2", 0, NULL) < 0)
		load_fail(GROUPS);
	load_write(GROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) < 0)
		load_fail(GROUP);
	snprintf(text, sizeof(text), "%lu", limit);
	load_write(GROUP "/memory.max", text);
	load_write(GROUP "/memory.swap.max", text);
}

static void work(unsigned int worker)
{
	load_write(GROUP "/cgroup.procs", "0");
	working_set_work(worker);
}

/* At its limit, and either a task was killed there or all of its pages are in use. */
static bool on(void)
{
	const char *events = load_read(GROUP "/memory.events");

	return load_number(events, "max ") && (load_number(events, "oom_kill ") || working_set_filled());
}

static void end(void)
{
	int tries;

	/* A group is busy until the last of its tasks is gone for good. */
	for (tries = 0; rmdir(GROUP) < 0 && errno == EBUSY && tries < 40; tries++)
		load_sleep_ms(50);
	if (!umount(GROUPS))
		rmdir(GROUPS);
	swap_off();
}

int main(int argc, char **argv)
{
	static const struct load_kind memcg = {
		.intensity = "percent of the group's limit",
		.least = 10,
		.most = 1000,
		.workers = 1,
		.begin = begin,
		.work = work,
		.on = on,
		.end = end,
	};

	return load_main(&memcg, argc, argv);
}
