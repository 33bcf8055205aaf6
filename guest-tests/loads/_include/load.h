/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the loads have alike: a parent that keeps workers at it, says "ready", and ends them.
 *
 *	NAME [intensity=N] [seed=N] [ramp_ms=N] [after_ms=N] [dir=DIR] [disk=DEVICE]
 *
 * Workers make the pressure. They are the OOM killer's first choice, and replaced when killed; one
 * that exits has failed, and the load with it. The parent is locked in memory and is never chosen.
 * It says "ready" once the kernel's own figures show the pressure. With a ramp or a delay it does
 * so at once, and the pressure comes on while the test runs.
 */
#ifndef LOADS_LOAD_H
#define LOADS_LOAD_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOAD_PAGE 4096UL
#define LOAD_WORKERS 16 /* at most */
#define LOAD_SAMPLE_MS 50
#define LOAD_PAUSE_MS 300 /* who asked for memory gets what a killed worker had, not the next one */

/* One kind of load. */
struct load_kind {
	const char *intensity; /* what it counts, for who gives a wrong one */
	unsigned long least, most; /* intensities that make sense */
	unsigned int workers; /* 0: as many as the intensity says */
	void (*begin)(void); /* in the parent, before there are workers; NULL: nothing */
	void (*work)(unsigned int worker); /* never returns */
	bool (*on)(void); /* is the pressure there; asked every LOAD_SAMPLE_MS */
	void (*end)(void); /* in the parent, after the workers: the guest as it was; or NULL */
};

/* Of one that has one worker, and counts in parts of the memory available: see load_percent(). */
#define LOAD_OF_MEMORY							\
	.intensity = "percent of the available memory", .least = 10, .workers = 1

/* What the plan asked for. */
static struct {
	unsigned long intensity, seed, ramp_ms, after_ms;
	const char *dir, *disk; /* NULL: none */
} load;

static unsigned long load_asked_ms; /* when the load began, before any delay */
static unsigned long load_begun_ms; /* when this worker began, after its delay */
static unsigned long load_lost; /* workers that were killed */

static inline void load_fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* The plan gives @name= to a load with a disk; by hand, it may be left out. */
static inline void load_needs(const char *value, const char *name)
{
	if (value)
		return;
	printf("no %s= was given\n", name);
	exit(2);
}

/* ---------------------------------------------------------------- files */

static inline void load_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		load_fail(path);
	close(fd);
}

/* The whole of a small file of the kernel's, as a string that holds until the next one. */
static inline const char *load_read(const char *path)
{
	static char text[16 * 1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		load_fail(path);
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	text[len] = '\0';
	close(fd);
	return text;
}

/* The number after @key at the start of a line of @text; 0 without it. */
static inline unsigned long load_number(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *line = text;

	while (line) {
		if (!strncmp(line, key, len))
			return strtoul(line + len, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

/* A counter of /proc/vmstat. */
static inline unsigned long load_vmstat(const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "%s ", name);
	return load_number(load_read("/proc/vmstat"), key);
}

/* Bytes that programs could have without swapping. */
static inline unsigned long load_available(void)
{
	return load_number(load_read("/proc/meminfo"), "MemAvailable:") * 1024;
}

/* That many percent of the available memory as the intensity says, in whole pages. */
static inline unsigned long load_percent(void)
{
	return load_available() / 100 * load.intensity / LOAD_PAGE * LOAD_PAGE;
}

/* ---------------------------------------------------------------- time and chance */

static inline unsigned long load_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000UL + now.tv_nsec / 1000000L;
}

static inline void load_sleep_ms(unsigned long ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

/* How much of @whole this worker may use by now, 1 at least: all of it without a ramp. */
static inline unsigned long load_due(unsigned long whole)
{
	unsigned long passed = load_now_ms() - load_begun_ms;

	if (passed >= load.ramp_ms)
		return whole;
	return 1 + (unsigned long)((unsigned __int128)whole * passed / load.ramp_ms);
}

/*
 * Sleep as long as it took since the last call. A worker that never lets go would, on a CPU of its
 * own, take every page as soon as it is freed: nobody else would get on, GFP_NOIO least of all.
 */
static inline void load_breathe(void)
{
	static struct timespec since;
	struct timespec now, pause;
	long ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (now.tv_sec - since.tv_sec) * 1000000000L + now.tv_nsec - since.tv_nsec;
	pause = (struct timespec){ .tv_sec = ns / 1000000000L, .tv_nsec = ns % 1000000000L };
	if (since.tv_sec || since.tv_nsec)
		nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &since);
}

static inline uint64_t load_random(void)
{
	static uint64_t state;

	if (!state)
		state = load.seed * 0x9e3779b97f4a7c15ULL | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Below @limit. */
static inline unsigned long load_pick(unsigned long limit)
{
	return (load_random() >> 16) % limit;
}

/* ---------------------------------------------------------------- parent */

/* Zeroed memory that the parent and all its workers see. */
static inline void *load_shared(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		load_fail("mmap");
	return shared;
}

/* In a child of @parent's: end with it, if it should have ended before this could be asked for. */
static inline void load_end_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/*
 * Sleep until the load's delay is over, and for a while if a worker was killed. Whoever sleeps
 * here may be killed as well, rather than somebody who is no part of the load.
 */
static inline void load_await(void)
{
	unsigned long due = load_asked_ms + load.after_ms, now = load_now_ms();

	if (load_lost && due < now + LOAD_PAUSE_MS)
		due = now + LOAD_PAUSE_MS;
	if (now < due)
		load_sleep_ms(due - now);
}

static inline pid_t load_start(const struct load_kind *kind, unsigned int worker)
{
	pid_t parent = getpid(), pid = fork();
	sigset_t none;

	if (pid < 0)
		load_fail("fork");
	if (pid > 0)
		return pid;
	/* SIGTERM goes to the whole group; the parent decides when it is over. */
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	load_end_with(parent);
	load_write("/proc/self/oom_score_adj", "1000");
	load.seed = (load.seed << 16) + (load_lost << 8) + worker;
	load_await();
	load_begun_ms = load_now_ms();
	kind->work(worker);
	_exit(1);
}

/* Replace who was killed. */
static inline void load_replace(const struct load_kind *kind, pid_t *pids, unsigned int workers)
{
	unsigned int worker;
	int status;

	for (worker = 0; worker < workers; worker++) {
		if (waitpid(pids[worker], &status, WNOHANG) != pids[worker])
			continue;
		if (!WIFSIGNALED(status)) {
			printf("worker %u failed\n", worker);
			exit(1);
		}
		load_lost++;
		pids[worker] = load_start(kind, worker);
	}
}

static inline int load_finish(const struct load_kind *kind, pid_t *pids, unsigned int workers)
{
	unsigned int worker;

	for (worker = 0; worker < workers; worker++)
		kill(pids[worker], SIGKILL);
	for (worker = 0; worker < workers; worker++)
		waitpid(pids[worker], NULL, 0);
	if (kind->end)
		kind->end();
	if (load_lost)
		printf("%lu workers were killed\n", load_lost);
	return 0;
}

/* What follows "@name=" in the arguments, NULL without it. */
static inline const char *load_word(int argc, char **argv, const char *name)
{
	size_t len = strlen(name);
	int i;

	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], name, len) && argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static inline unsigned long load_count(int argc, char **argv, const char *name)
{
	const char *word = load_word(argc, argv, name);

	return word ? strtoul(word, NULL, 10) : 0;
}

static inline void load_ask(const struct load_kind *kind, int argc, char **argv)
{
	load.intensity = load_count(argc, argv, "intensity");
	load.seed = load_count(argc, argv, "seed");
	load.ramp_ms = load_count(argc, argv, "ramp_ms");
	load.after_ms = load_count(argc, argv, "after_ms");
	load.dir = load_word(argc, argv, "dir");
	load.disk = load_word(argc, argv, "disk");
	if (load.intensity < kind->least || load.intensity > kind->most) {
		fprintf(stderr, "usage: %s intensity=N: %s, %lu to %lu\n", argv[0],
			kind->intensity, kind->least, kind->most);
		exit(2);
	}
}

static inline int load_main(const struct load_kind *kind, int argc, char **argv)
{
	const struct timespec sample = { .tv_nsec = LOAD_SAMPLE_MS * 1000000L };
	unsigned int workers, worker;
	pid_t pids[LOAD_WORKERS];
	bool ready = false;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	load_ask(kind, argc, argv);
	load_asked_ms = load_now_ms();
	workers = kind->workers ? kind->workers : load.intensity;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	load_write("/proc/self/oom_score_adj", "-1000");
	if (kind->begin)
		kind->begin();
	mlockall(MCL_CURRENT | MCL_FUTURE);
	for (worker = 0; worker < workers; worker++)
		pids[worker] = load_start(kind, worker);
	for (;;) {
		if (sigtimedwait(&set, NULL, &sample) == SIGTERM)
			return load_finish(kind, pids, workers);
		load_replace(kind, pids, workers);
		if (!ready && (load.ramp_ms || load.after_ms || kind->on())) {
			ready = true;
			puts("ready");
		}
	}
}

#endif
