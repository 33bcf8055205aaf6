// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sampler: a process beside PID 1 that tells the host, again and again, how the guest's memory
 * fares. It has to go on when memory is short, and must change as little as it can of what it
 * measures: its pages are locked as they are first used, its files are opened once and read again
 * from the start, it goes before ordinary tasks, and the OOM killer leaves it alone. What is left is
 * the kernel's own small change: a buffer for each write to the port, and one for each read of
 * /proc/vmstat. Neither enters file systems or starts the OOM killer (it is set as an IO flusher,
 * since 5.6).
 *
 * On the port "harness.samples" the host sends "go <ms> <module>" and "stop". Each sample is one
 * line, "name=value name=value ...", of which guest-tests/README.md gives the names.
 */
#define _GNU_SOURCE /* MCL_ONFAULT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "link.h"
#include "sampler.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define PORT_NAME "harness.samples"
#define PORT_WAIT_MS 10000
#define AWAY_MS 250  /* how often to look for a host that is not there */
#define LEAST_MS 10
#define NICE (-10)
#define MAX_ORDERS 16
#define TICK_MS 10 /* /proc/stat counts in hundredths of a second, on every architecture */

enum source { MEMINFO, VMSTAT, PRESSURE, STAT, BUDDYINFO, SOURCES };

static const char *const paths[SOURCES] = {
	[MEMINFO] = "/proc/meminfo",
	[VMSTAT] = "/proc/vmstat",
	[PRESSURE] = "/proc/pressure/memory",
	[STAT] = "/proc/stat",
	[BUDDYINFO] = "/proc/buddyinfo",
};

static int fds[SOURCES] = { -1, -1, -1, -1, -1 };
static char text[16384]; /* of one source at a time */
static char line[2048];
static size_t line_len;
static int progress_fd = -1;
static char progress_path[128];

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
	size_t room = sizeof(line) - line_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line + line_len, room, format, args);
	va_end(args);
	/* A word that does not fit is left out as a whole. */
	if (len > 0 && (size_t)len < room)
		line_len += len;
	else
		line[line_len] = '\0';
}

/* Read all of @fd from its start into text; a file that was read before is not opened again. */
static bool take(int fd)
{
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (len + 1 < sizeof(text) && (got = pread(fd, text + len, sizeof(text) - 1 - len, len)) > 0)
		len += got;
	text[len] = '\0';
	return len > 0;
}

/* A figure is the sum of all lines that begin with its key. */
struct figure {
	const char *key, *name;
	unsigned long long sum;
	bool seen;
};

static void sum_up(struct figure *figures, size_t count)
{
	char *at, *end;
	size_t i;

	for (i = 0; i < count; i++) {
		figures[i].sum = 0;
		figures[i].seen = false;
	}
	for (at = text; *at; at = *end ? end + 1 : end) {
		end = at + strcspn(at, "\n");
		for (i = 0; i < count; i++) {
			const char *key = figures[i].key;
			size_t len = strlen(key);

			if (*at != *key || strncmp(at, key, len))
				continue;
			figures[i].sum += strtoull(at + strcspn(at, " "), NULL, 10);
			figures[i].seen = true;
			break;
		}
	}
}

static void put_figures(const struct figure *figures, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (figures[i].seen && figures[i].name)
			put(" %s=%llu", figures[i].name, figures[i].sum);
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_meminfo(void)
{
	static struct figure figures[] = {
		{ .key = "MemFree:", .name = "free_kib" },
		{ .key = "MemAvailable:", .name = "available_kib" },
		{ .key = "KReclaimable:", .name = "reclaimable_kib" },
		{ .key = "Slab:", .name = "slab_kib" },
		{ .key = "SUnreclaim:", .name = "unreclaimable_kib" },
		{ .key = "VmallocUsed:", .name = "vmalloc_kib" },
		{ .key = "PageTables:", .name = "pagetables_kib" },
		{ .key = "AnonPages:", .name = "anon_kib" },
		{ .key = "Shmem:", .name = "shmem_kib" },
		{ .key = "Active(file):" },
		{ .key = "Inactive(file):" },
		{ .key = "SwapTotal:" },
		{ .key = "SwapFree:" },
	};
	enum { ACTIVE = 9, INACTIVE, TOTAL, FREE };

	if (!take(fds[MEMINFO]))
		return;
	sum_up(figures, COUNT(figures));
	put_figures(figures, COUNT(figures));
	put(" file_kib=%llu", figures[ACTIVE].sum + figures[INACTIVE].sum);
	if (figures[TOTAL].seen)
		put(" swap_used_kib=%llu", figures[TOTAL].sum - figures[FREE].sum);
}

static void put_vmstat(void)
{
	static struct figure figures[] = {
		{ .key = "pgalloc_", .name = "pgalloc" },
		{ .key = "pgfree", .name = "pgfree" },
		{ .key = "pgscan_direct ", .name = "pgscan_direct" },
		{ .key = "pgscan_kswapd", .name = "pgscan_kswapd" },
		/* By whom, and so not again by what: pgsteal_anon and pgsteal_file. */
		{ .key = "pgsteal_kswapd", .name = NULL },
		{ .key = "pgsteal_direct", .name = NULL },
		{ .key = "allocstall_", .name = "allocstall" },
		{ .key = "compact_stall", .name = "compact_stall" },
		{ .key = "pswpin", .name = "pswpin" },
		{ .key = "pswpout", .name = "pswpout" },
		{ .key = "oom_kill", .name = "oom_kill" },
	};
	enum { KSWAPD = 4, DIRECT };

	if (!take(fds[VMSTAT]))
		return;
	sum_up(figures, COUNT(figures));
	put_figures(figures, COUNT(figures));
	put(" pgsteal=%llu", figures[KSWAPD].sum + figures[DIRECT].sum);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same for "full". */
static void put_pressure(void)
{
	const char *some, *full;

	if (!take(fds[PRESSURE]))
		return;
	full = strstr(text, "full ");
	some = strstr(text, "total=");
	if (some)
		put(" psi_some_us=%llu", strtoull(some + 6, NULL, 10));
	full = full ? strstr(full, "total=") : NULL;
	if (full)
		put(" psi_full_us=%llu", strtoull(full + 6, NULL, 10));
}

/* "cpu  user nice system idle iowait irq softirq ..." */
static void put_stat(void)
{
	unsigned long long n[7] = { 0 };

	if (!take(fds[STAT]) ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", n, n + 1, n + 2, n + 3, n + 4,
		   n + 5, n + 6) < 4)
		return;
	put(" user_ms=%llu system_ms=%llu idle_ms=%llu", (n[0] + n[1]) * TICK_MS,
	    (n[2] + n[5] + n[6]) * TICK_MS, (n[3] + n[4]) * TICK_MS);
}

/* "Node 0, zone    DMA32      1      0 ..." */
static void put_buddyinfo(void)
{
	unsigned long long orders[MAX_ORDERS] = { 0 };
	int most = 0, i;
	char *at;

	if (!take(fds[BUDDYINFO]))
		return;
	for (at = strstr(text, "zone "); at; at = strstr(at, "zone ")) {
		at += strlen("zone ");
		at += strspn(at, " ");
		at += strcspn(at, " \n");
		for (i = 0; i < MAX_ORDERS; i++) {
			char *end;
			unsigned long long blocks;

			at += strspn(at, " ");
			blocks = strtoull(at, &end, 10);
			if (*at == '\n' || end == at)
				break;
			orders[i] += blocks;
			at = end;
			if (i >= most)
				most = i + 1;
		}
	}
	for (i = 0; i < most; i++)
		put("%s%llu", i ? "," : " free_orders=", orders[i]);
}

/* What the test itself counts, where it does: see include/harness/progress.h. */
static void put_progress(void)
{
	if (!*progress_path)
		return;
	if (progress_fd < 0)
		progress_fd = open(progress_path, O_RDONLY | O_CLOEXEC);
	if (!take(progress_fd)) {
		/* Not loaded yet, or not any more: the file of a module that is gone stays dead. */
		if (progress_fd >= 0)
			close(progress_fd);
		progress_fd = -1;
		return;
	}
	text[strcspn(text, "\n")] = '\0';
	put(" %s", text);
}

static uint64_t now_us(void)
{
	struct timespec t;

	/* The clock that the kernel's log goes by, but for some microseconds. */
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void sample(int port)
{
	line_len = 0;
	put("at_us=%llu", (unsigned long long)now_us());
	/* First what is read without any allocation. */
	put_meminfo();
	put_pressure();
	put_stat();
	put_progress();
	put_buddyinfo();
	put_vmstat();
	put("\n");
	/* Whole or not at all: a host that does not read gets the next one. */
	if (write(port, line, line_len) < 0)
		return;
}

/* Returns ms between samples, 0 for none. */
static int obey(char *order)
{
	char module[64];
	int ms;

	if (sscanf(order, "go %d %63[a-zA-Z0-9_]", &ms, module) != 2)
		return 0;
	snprintf(progress_path, sizeof(progress_path), "/sys/module/%s/parameters/progress",
		 module);
	return ms < LEAST_MS ? LEAST_MS : ms;
}

static void serve(int port)
{
	const struct timespec away = { .tv_nsec = AWAY_MS * 1000000L };
	struct pollfd set = { .fd = port, .events = POLLIN };
	uint64_t next = 0;
	int period = 0;

	for (;;) {
		uint64_t now = now_ms();
		int wait = period ? (next > now ? (int)(next - now) : 0) : -1;
		char order[128];
		ssize_t got = 0;

		if (poll(&set, 1, wait) > 0) {
			got = read(port, order, sizeof(order) - 1);
			if (got <= 0) {
				nanosleep(&away, NULL);
				continue;
			}
			order[got] = '\0';
			period = obey(order);
			next = 0;
			continue;
		}
		if (!period)
			continue;
		sample(port);
		now = now_ms();
		/* Late by whole periods: they are left out, not made up for. */
		next = next + period > now ? next + period : now + period;
	}
}

int sampler_main(void)
{
	int port, i;

	/* Its OOM score is PID 1's. */
	prctl(PR_SET_NAME, "sampler");
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	/*
	 * Before others, but not in spite of them: /proc/vmstat allocates each time that it is read,
	 * and who waits for memory with a real-time priority keeps an OOM victim from the processor,
	 * and so from giving its memory back.
	 */
	setpriority(PRIO_PROCESS, 0, NICE);
	port = port_open(PORT_NAME, PORT_WAIT_MS);
	if (port < 0)
		return 1;
	for (i = 0; i < SOURCES; i++) {
		fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
		/* The first read makes the kernel's buffer for all that follow. */
		take(fds[i]);
	}
	serve(port);
	return 0;
}

void sampler_start(void)
{
	static char *const argv[] = { "/init", "sampler", NULL };

	if (fork() == 0) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
}
