// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: more anonymous memory in use than there is RAM, with swap on compressed RAM (zram), so
 * that the kernel reclaims all the time: pages are swapped out, and in again when their turn
 * comes.
 *
 *	anon intensity=PERCENT [seed=N] [ramp_ms=N] [after_ms=N]
 *
 * The working set is that share of the memory available. With a ramp or a delay it is ready at
 * once, and fills memory while the test runs.
 *
 * Two processes. The worker touches the memory; it is the OOM killer's first choice, and a new one
 * takes over should it be chosen. The parent sets up the swap, says "ready" once reclaim is seen
 * to run, and ends it all on SIGTERM.
 */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DISK "/dev/zram0"
#define DISK_CONTROL "/sys/block/zram0/"
#define PAGE 4096
#define SAMPLE_MS 50
#define BATCH_PAGES 64
/*
 * How much of a page is noise; the rest is zero. zram then needs some 30 % of what it stores:
 * about what real memory compresses to, and enough to make room.
 */
#define NOISE_WORDS (PAGE / sizeof(uint64_t) / 4)

static unsigned long seed, ramp_ms, after_ms;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(path);
	close(fd);
}

/* The whole of a small file of /proc, as a string. */
static const char *read_file(const char *path)
{
	static char text[16 * 1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		die(path);
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	text[len] = '\0';
	close(fd);
	return text;
}

/* The number after @key at the start of a line of @text. */
static unsigned long number(const char *text, const char *key)
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

/* ---------------------------------------------------------------- swap */

/* What mkswap writes: version, last page and magic, all in the first page. */
static void make_swap(unsigned long bytes)
{
	static union {
		char page[PAGE];
		struct {
			char boot[1024];
			uint32_t version, last_page, bad_pages;
		} head;
	} swap;
	int fd = open(DISK, O_WRONLY | O_CLOEXEC);

	swap.head.version = 1;
	swap.head.last_page = bytes / PAGE - 1;
	memcpy(swap.page + PAGE - 10, "SWAPSPACE2", 10);
	if (fd < 0 || write(fd, swap.page, PAGE) != PAGE || fsync(fd) < 0)
		die(DISK);
	close(fd);
}

static void swap_on(unsigned long bytes)
{
	char size[32];

	/* Left on by an earlier run that was killed: as good as new. */
	if (strstr(read_file("/proc/swaps"), "zram0"))
		return;
	snprintf(size, sizeof(size), "%lu", bytes);
	write_file(DISK_CONTROL "reset", "1");
	write_file(DISK_CONTROL "disksize", size);
	make_swap(bytes);
	if (swapon(DISK, 0) < 0)
		die("swapon " DISK);
}

/* ---------------------------------------------------------------- worker */

static uint64_t next_noise(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void fill_page(uint64_t *page, uint64_t seed)
{
	size_t i;

	for (i = 0; i < NOISE_WORDS; i++) {
		seed = next_noise(seed);
		page[i] = seed;
	}
}

/*
 * Sleep as long as the last batch took. A worker that never lets go would, on a CPU of its own,
 * take every page as soon as it is freed: nobody else would get on, GFP_NOIO least of all.
 */
static void breathe(struct timespec *batch)
{
	struct timespec now, pause;
	long ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (now.tv_sec - batch->tv_sec) * 1000000000L + now.tv_nsec - batch->tv_nsec;
	pause = (struct timespec){ .tv_sec = ns / 1000000000L, .tv_nsec = ns % 1000000000L };
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, batch);
}

static void sleep_ms(unsigned long ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

static unsigned long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000UL + now.tv_nsec / 1000000L;
}

/* Fill all of it, and as slowly as the ramp says: no page before its time. */
static void fill(char *memory, unsigned long bytes)
{
	unsigned long at, begun;

	sleep_ms(after_ms);
	begun = now_ms();
	for (at = 0; at < bytes; at += PAGE) {
		if (ramp_ms && at % (BATCH_PAGES * PAGE) == 0) {
			unsigned long due = ramp_ms * (at / PAGE) / (bytes / PAGE);
			unsigned long passed = now_ms() - begun;

			if (passed < due)
				sleep_ms(due - passed);
		}
		fill_page((uint64_t *)(memory + at), (seed << 32) + at + 1);
	}
}

static void work(unsigned long bytes, int filled)
{
	struct timespec batch;
	unsigned long at, round;
	char *memory;

	/* SIGTERM goes to the whole group; the parent decides when it is over. */
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_file("/proc/self/oom_score_adj", "1000");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	fill(memory, bytes);
	if (write(filled, "", 1) < 0)
		_exit(1);
	clock_gettime(CLOCK_MONOTONIC, &batch);
	for (round = 1;; round++) {
		for (at = 0; at < bytes; at += PAGE) {
			*(volatile uint64_t *)(memory + at) += round;
			if (at % (BATCH_PAGES * PAGE) == 0)
				breathe(&batch);
		}
	}
}

/* ---------------------------------------------------------------- parent */

static pid_t start_worker(unsigned long bytes, int filled)
{
	pid_t pid = fork();

	if (pid == 0)
		work(bytes, filled);
	return pid;
}

/* Reclaim is going on: pages are taken from somebody, and written to swap, right now. */
static bool reclaiming(void)
{
	static unsigned long stolen_before, out_before;
	const char *text = read_file("/proc/vmstat");
	unsigned long stolen = number(text, "pgsteal_kswapd ") + number(text, "pgsteal_direct ");
	unsigned long out = number(text, "pswpout ");
	bool moving = stolen > stolen_before && out > out_before && out_before;

	stolen_before = stolen;
	out_before = out;
	return moving;
}

static bool is_filled(int filled)
{
	static bool seen;
	char byte;

	seen = seen || read(filled, &byte, 1) == 1;
	return seen;
}

static void finish(pid_t worker, unsigned int lost)
{
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	/* The guest as it was before; not worth a failure if something else holds on to it. */
	if (!swapoff(DISK))
		write_file(DISK_CONTROL "reset", "1");
	if (lost)
		printf("%u workers were killed\n", lost);
	exit(0);
}

/* The number that the argument @name gives, 0 without it. */
static unsigned long word(char **argv, const char *name)
{
	size_t len = strlen(name);

	while (*++argv) {
		if (!strncmp(*argv, name, len))
			return strtoul(*argv + len, NULL, 10);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct timespec sample = { .tv_nsec = SAMPLE_MS * 1000000L };
	unsigned long percent = word(argv, "intensity=");
	unsigned long available, bytes;
	unsigned int lost = 0;
	bool ready = false;
	int filled[2];
	pid_t worker;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = word(argv, "seed=");
	ramp_ms = word(argv, "ramp_ms=");
	after_ms = word(argv, "after_ms=");
	if (argc < 2 || percent < 10 || percent > 1000) {
		fprintf(stderr, "usage: %s intensity=PERCENT, 10 to 1000\n", argv[0]);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	write_file("/proc/self/oom_score_adj", "-1000");
	available = number(read_file("/proc/meminfo"), "MemAvailable:") * 1024;
	bytes = available / 100 * percent / PAGE * PAGE;
	/* Room for all of it: the OOM killer comes when swap is full, whatever it could hold. */
	swap_on(bytes);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	if (pipe2(filled, O_CLOEXEC | O_NONBLOCK) < 0)
		die("pipe");
	worker = start_worker(bytes, filled[1]);
	for (;;) {
		int caught = sigtimedwait(&set, NULL, &sample);

		if (caught == SIGTERM)
			finish(worker, lost);
		if (waitpid(worker, NULL, WNOHANG) == worker) {
			lost++;
			worker = start_worker(bytes, filled[1]);
		}
		if (!ready && (ramp_ms || after_ms || (is_filled(filled[0]) && reclaiming()))) {
			ready = true;
			puts("ready");
		}
	}
}
