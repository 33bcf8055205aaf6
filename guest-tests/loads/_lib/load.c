// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define SAMPLE_MS 50
#define PAUSE_MS 300 /* who asked for memory gets what a killed worker had, not the next one */

struct load_args load;

static unsigned long asked_ms; /* when the load began, before any delay */
static unsigned long begun_ms; /* when this worker began, after its delay */
static unsigned long killed; /* workers */

void load_fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* The plan gives @name= to a load with a disk; by hand, it may be left out. */
void load_needs(const char *value, const char *name)
{
	if (value)
		return;
	printf("no %s= was given\n", name);
	exit(2);
}

/* ---------------------------------------------------------------- files */

void load_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		load_fail(path);
	close(fd);
}

const char *load_read(const char *path)
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

unsigned long load_number(const char *text, const char *key)
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

unsigned long load_vmstat(const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "%s ", name);
	return load_number(load_read("/proc/vmstat"), key);
}

unsigned long load_available(void)
{
	return load_number(load_read("/proc/meminfo"), "MemAvailable:") * 1024;
}

unsigned long load_percent(void)
{
	return load_available() / 100 * load.intensity / LOAD_PAGE * LOAD_PAGE;
}

/* ---------------------------------------------------------------- time and chance */

static unsigned long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000UL + now.tv_nsec / 1000000L;
}

void load_sleep_ms(unsigned long ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

unsigned long load_due(unsigned long whole)
{
	unsigned long passed = now_ms() - begun_ms;

	if (passed >= load.ramp_ms)
		return whole;
	return 1 + (unsigned long)((unsigned __int128)whole * passed / load.ramp_ms);
}

void load_await_due(unsigned long part, unsigned long whole)
{
	unsigned long due, now = now_ms();

	due = begun_ms + (unsigned long)((unsigned __int128)load.ramp_ms * part / whole);
	if (now < due)
		load_sleep_ms(due - now);
}

void load_throttle(void)
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

uint64_t load_random(void)
{
	static uint64_t state;

	if (!state)
		state = load.seed * 0x9e3779b97f4a7c15ULL | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

unsigned long load_pick(unsigned long limit)
{
	return (load_random() >> 16) % limit;
}

/* ---------------------------------------------------------------- parent */

void *load_shared(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		load_fail("mmap");
	return shared;
}

void load_die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/*
 * Sleep until the load's delay is over, and for a while if a worker was killed. Whoever sleeps
 * here may be killed as well, rather than somebody who is no part of the load.
 */
static void await_begin(void)
{
	unsigned long due = asked_ms + load.after_ms, now = now_ms();

	if (killed && due < now + PAUSE_MS)
		due = now + PAUSE_MS;
	if (now < due)
		load_sleep_ms(due - now);
}

static pid_t start(const struct load_kind *kind, unsigned int worker)
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
	load_die_with_parent(parent);
	load_write("/proc/self/oom_score_adj", "1000");
	if (kind->in_dir && chdir(load.dir) < 0)
		load_fail(load.dir);
	load.seed = (load.seed << 16) + (killed << 8) + worker;
	await_begin();
	begun_ms = now_ms();
	kind->work(worker);
	_exit(1);
}

/* Replace who was killed. */
static void replace(const struct load_kind *kind, pid_t *pids, unsigned int workers)
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
		killed++;
		pids[worker] = start(kind, worker);
	}
}

static int finish(const struct load_kind *kind, pid_t *pids, unsigned int workers)
{
	unsigned int worker;

	for (worker = 0; worker < workers; worker++)
		kill(pids[worker], SIGKILL);
	for (worker = 0; worker < workers; worker++)
		waitpid(pids[worker], NULL, 0);
	if (kind->end)
		kind->end();
	if (killed)
		printf("%lu workers were killed\n", killed);
	return 0;
}

/* Returns what follows "@name=", NULL without it. */
static const char *argument(int argc, char **argv, const char *name)
{
	size_t len = strlen(name);
	int i;

	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], name, len) && argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static unsigned long number(int argc, char **argv, const char *name)
{
	const char *word = argument(argc, argv, name);

	return word ? strtoul(word, NULL, 10) : 0;
}

static void parse(const struct load_kind *kind, int argc, char **argv)
{
	load.intensity = number(argc, argv, "intensity");
	load.seed = number(argc, argv, "seed");
	load.ramp_ms = number(argc, argv, "ramp_ms");
	load.after_ms = number(argc, argv, "after_ms");
	load.dir = argument(argc, argv, "dir");
	load.disk = argument(argc, argv, "disk");
	if (load.intensity < kind->least || load.intensity > kind->most) {
		fprintf(stderr, "usage: %s intensity=N: %s, %lu to %lu\n", argv[0],
			kind->intensity, kind->least, kind->most);
		exit(2);
	}
}

int load_main(const struct load_kind *kind, int argc, char **argv)
{
	const struct timespec sample = { .tv_nsec = SAMPLE_MS * 1000000L };
	unsigned int workers, worker;
	pid_t pids[LOAD_WORKERS];
	bool ready = false;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(kind, argc, argv);
	if (kind->in_dir)
		load_needs(load.dir, "dir");
	asked_ms = now_ms();
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
		pids[worker] = start(kind, worker);
	for (;;) {
		if (sigtimedwait(&set, NULL, &sample) == SIGTERM)
			return finish(kind, pids, workers);
		replace(kind, pids, workers);
		if (!ready && (load.ramp_ms || load.after_ms || kind->on())) {
			ready = true;
			puts("ready");
		}
	}
}
