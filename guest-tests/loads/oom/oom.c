// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: memory runs out, again and again. Each worker takes anonymous memory, with nowhere to swap
 * it to, until the OOM killer takes the worker; the next one begins after a pause.
 */
#include "load.h"
#include "working_set.h"

#define ROOM_MS 500 /* to fill memory in: the test is to see it run low, not only out */

static unsigned long before;

static void begin(void)
{
	before = load_vmstat("oom_kill");
}

static void work(unsigned int worker)
{
	unsigned long bytes = load_number(load_read("/proc/meminfo"), "MemTotal:") * 1024;

	if (!load.ramp_ms)
		load.ramp_ms = ROOM_MS;
	/* Twice of what there is, another load's swap included. */
	bytes += load_number(load_read("/proc/meminfo"), "SwapTotal:") * 1024;
	working_set_begin(2 * bytes);
	working_set_work(worker);
}

static bool on(void)
{
	return load_vmstat("oom_kill") > before;
}

int main(int argc, char **argv)
{
	static const struct load_kind oom = {
		.intensity = "workers, each of which is killed",
		.least = 1,
		.most = LOAD_WORKERS,
		.begin = begin,
		.work = work,
		.on = on,
	};

	return load_main(&oom, argc, argv);
}
