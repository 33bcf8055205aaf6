/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A storm of metadata on a file system: files are created, renamed, linked, given attributes,
 * unlinked and synced, in a tree of directories, in an order that the seed decides.
 *
 *	NAME dir=DIR intensity=WORKERS [seed=N] [ramp_ms=N] [after_ms=N]
 *
 * There are as many names as make inodes and their pages outgrow the memory available, so that
 * the kernel must shrink its caches and write back to go on. With a ramp their number grows.
 *
 * Workers are the OOM killer's first choice, and replaced when killed. A round is ROUND operations.
 * What the file system refuses for want of space or memory is weather; any other error ends the
 * storm, and its own check decides what it was.
 */
#ifndef LOADS_STORM_H
#define LOADS_STORM_H

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
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define STORM_WORKERS 16 /* at most */
#define STORM_FANOUT 16 /* directories of a worker, and again in each of these */
#define STORM_BYTES_PER_NAME 4096 /* an inode, a dentry and its page need more than that */
#define STORM_NAMES 32768 /* at most: what a disk of 320 MiB has room for */
#define STORM_DATA 4096
#define STORM_VALUE 400 /* bytes of an attribute: some fit into an inode, some do not */
#define ROUND 1000

enum storm_operation {
	STORM_CREATE,
	STORM_RENAME,
	STORM_LINK,
	STORM_XATTR,
	STORM_UNLINK,
	STORM_FSYNC,
	STORM_OPERATIONS,
};

static const char *const storm_names[STORM_OPERATIONS] = {
	"create", "rename", "link", "xattr", "unlink", "fsync",
};

/* Shared by all workers; each writes its own row. */
static unsigned long (*storm_done)[STORM_OPERATIONS];
static unsigned long storm_seed, storm_ramp_ms, storm_after_ms, storm_per_worker;
static const char *storm_dir;

static unsigned long storm_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000UL + now.tv_nsec / 1000000L;
}

static uint64_t storm_random(void)
{
	static uint64_t state;

	if (!state)
		state = storm_seed * 0x9e3779b97f4a7c15ULL | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Below @limit. */
static unsigned long storm_pick(unsigned long limit)
{
	return (storm_random() >> 16) % limit;
}

static void storm_fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Go on after what another operation, or a lack of space or memory, may cause. */
static bool storm_ok(long result, const char *what)
{
	if (result >= 0)
		return true;
	switch (errno) {
	case EEXIST:
	case ENOENT:
	case ENODATA:
	case EMLINK:
	case ENOSPC:
	case ENOMEM:
	case EINTR:
		return false;
	}
	storm_fail(what);
	return false;
}

static void storm_oom_score(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, score, strlen(score)) < 0)
		storm_fail("oom_score_adj");
	close(fd);
}

/* ---------------------------------------------------------------- worker */

static void storm_path(char path[64], unsigned long name)
{
	snprintf(path, 64, "%lx/%lx/name-%lu", name % STORM_FANOUT,
		 name / STORM_FANOUT % STORM_FANOUT, name);
}

static void storm_tree(unsigned int worker)
{
	char path[64];
	int outer, inner;

	snprintf(path, sizeof(path), "%u", worker);
	if (chdir(storm_dir) < 0)
		storm_fail(storm_dir);
	storm_ok(mkdir(path, 0755), "mkdir");
	if (chdir(path) < 0)
		storm_fail(path);
	for (outer = 0; outer < STORM_FANOUT; outer++) {
		snprintf(path, sizeof(path), "%x", outer);
		storm_ok(mkdir(path, 0755), "mkdir");
		for (inner = 0; inner < STORM_FANOUT; inner++) {
			snprintf(path, sizeof(path), "%x/%x", outer, inner);
			storm_ok(mkdir(path, 0755), "mkdir");
		}
	}
}

static bool storm_xattr(const char *path)
{
	char value[STORM_VALUE];
	size_t size = 1 + storm_pick(sizeof(value));

	if (storm_pick(4) == 0)
		return storm_ok(removexattr(path, "user.storm"), "removexattr");
	memset(value, (int)size, size);
	return storm_ok(setxattr(path, "user.storm", value, size, 0), "setxattr");
}

static bool storm_fsync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done;

	if (!storm_ok(fd, "open"))
		return false;
	done = storm_ok(fsync(fd), "fsync");
	close(fd);
	return done;
}

/* Whether there was no such name yet. */
static bool storm_create(const char *path)
{
	static const char data[STORM_DATA];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (!storm_ok(fd, "create"))
		return false;
	storm_ok(write(fd, data, 1 + storm_pick(sizeof(data))), "write");
	close(fd);
	return true;
}

static void storm_step(unsigned long *done, unsigned long names)
{
	unsigned long what = storm_pick(32);
	char path[64], other[64];

	storm_path(path, storm_pick(names));
	storm_path(other, storm_pick(names));
	if (storm_create(path))
		done[STORM_CREATE]++;
	else if (what < 8)
		done[STORM_RENAME] += storm_ok(rename(path, other), "rename");
	else if (what < 14)
		done[STORM_LINK] += storm_ok(link(path, other), "link");
	else if (what < 22)
		done[STORM_XATTR] += storm_xattr(path);
	else if (what < 31)
		done[STORM_UNLINK] += storm_ok(unlink(path), "unlink");
	else
		done[STORM_FSYNC] += storm_fsync(path);
}

static void storm_work(unsigned int worker, unsigned long generation)
{
	const struct timespec delay = { .tv_sec = storm_after_ms / 1000,
					.tv_nsec = storm_after_ms % 1000 * 1000000L };
	unsigned long begun;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	storm_oom_score("1000");
	storm_seed = (storm_seed << 16) + (generation << 8) + worker;
	nanosleep(&delay, NULL);
	storm_tree(worker);
	begun = storm_now_ms();
	for (;;) {
		unsigned long names = storm_per_worker, passed = storm_now_ms() - begun;

		if (passed < storm_ramp_ms)
			names = 1 + names * passed / storm_ramp_ms;
		storm_step(storm_done[worker], names);
	}
}

/* ---------------------------------------------------------------- parent */

static pid_t storm_start(unsigned int worker, unsigned long generation)
{
	pid_t pid = fork();

	if (pid < 0)
		storm_fail("fork");
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		storm_work(worker, generation);
	}
	return pid;
}

static unsigned long storm_rounds(unsigned int worker)
{
	unsigned long all = 0;
	int i;

	for (i = 0; i < STORM_OPERATIONS; i++)
		all += storm_done[worker][i];
	return all / ROUND;
}

static void storm_finish(const pid_t *pids, unsigned int workers, unsigned long lost)
{
	unsigned long rounds = 0, count;
	unsigned int worker;
	int i;

	for (worker = 0; worker < workers; worker++)
		kill(pids[worker], SIGKILL);
	while (wait(NULL) > 0)
		;
	for (worker = 0; worker < workers; worker++)
		rounds += storm_rounds(worker);
	printf("storm complete: %lu rounds", rounds);
	for (i = 0; i < STORM_OPERATIONS; i++) {
		for (count = 0, worker = 0; worker < workers; worker++)
			count += storm_done[worker][i];
		printf(", %lu %s", count, storm_names[i]);
	}
	printf("; %lu workers were killed\n", lost);
	exit(0);
}

/* What follows "@name=" in the arguments, NULL without it. */
static const char *storm_word(char **argv, const char *name)
{
	size_t len = strlen(name);

	while (*++argv) {
		if (!strncmp(*argv, name, len) && (*argv)[len] == '=')
			return *argv + len + 1;
	}
	return NULL;
}

static unsigned long storm_number(char **argv, const char *name)
{
	const char *word = storm_word(argv, name);

	return word ? strtoul(word, NULL, 10) : 0;
}

static unsigned long storm_available(void)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		storm_fail("/proc/meminfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024;
}

/* Take note of the workers that ended, and replace who was killed. */
static unsigned long storm_replace(pid_t *pids, unsigned int workers, unsigned long lost)
{
	unsigned int worker;
	int status;

	for (worker = 0; worker < workers; worker++) {
		if (waitpid(pids[worker], &status, WNOHANG) != pids[worker])
			continue;
		if (!WIFSIGNALED(status)) {
			printf("worker %u: the file system failed it\n", worker);
			exit(1);
		}
		lost++;
		pids[worker] = storm_start(worker, lost);
	}
	return lost;
}

static bool storm_on(unsigned int workers)
{
	unsigned int worker;

	if (storm_ramp_ms || storm_after_ms)
		return true;
	for (worker = 0; worker < workers; worker++) {
		if (!storm_rounds(worker))
			return false;
	}
	return true;
}

static int storm_main(int argc, char **argv)
{
	const struct timespec sample = { .tv_nsec = 50 * 1000000L };
	unsigned long workers = storm_number(argv, "intensity"), worker, lost = 0;
	pid_t pids[STORM_WORKERS];
	bool ready = false;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	storm_dir = storm_word(argv, "dir");
	storm_seed = storm_number(argv, "seed");
	storm_ramp_ms = storm_number(argv, "ramp_ms");
	storm_after_ms = storm_number(argv, "after_ms");
	if (argc < 3 || !storm_dir || !workers || workers > STORM_WORKERS) {
		fprintf(stderr, "usage: %s dir=DIR intensity=WORKERS, 1 to %d\n", argv[0],
			STORM_WORKERS);
		return 2;
	}
	storm_per_worker = storm_available() / STORM_BYTES_PER_NAME;
	if (storm_per_worker > STORM_NAMES)
		storm_per_worker = STORM_NAMES;
	storm_per_worker = 1 + storm_per_worker / workers;
	storm_done = mmap(NULL, STORM_WORKERS * sizeof(*storm_done), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm_done == MAP_FAILED)
		storm_fail("mmap");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	storm_oom_score("-1000");
	mlockall(MCL_CURRENT | MCL_FUTURE);
	for (worker = 0; worker < workers; worker++)
		pids[worker] = storm_start(worker, 0);
	for (;;) {
		if (sigtimedwait(&set, NULL, &sample) == SIGTERM)
			storm_finish(pids, workers, lost);
		lost = storm_replace(pids, workers, lost);
		if (!ready && storm_on(workers)) {
			ready = true;
			puts("ready");
		}
	}
}

#endif
