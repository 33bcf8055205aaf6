// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: a file that is larger than memory, read and written all over, so that the kernel drops
 * clean pages, writes back dirty ones, and reads again what it has just dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "load.h"

#define SPAN 16 /* pages at most, of one read or write */
#define ROOM 3 / 4 /* of the disk; the rest is for the file system's own */

static unsigned long pages;
static volatile unsigned long *filled;

static void begin(void)
{
	struct statvfs disk;
	unsigned long room;

	if (statvfs(load.dir, &disk) < 0)
		load_fail(load.dir);
	room = disk.f_bavail * disk.f_bsize / LOAD_PAGE * ROOM;
	pages = load_percent() / LOAD_PAGE;
	if (pages > room && room < load_available() / LOAD_PAGE) {
		printf("the disk has room for %lu MiB, memory for %lu: none would have to go\n",
		       room * LOAD_PAGE >> 20, load_available() >> 20);
		exit(2);
	}
	if (pages > room) {
		printf("%lu pages are more than the disk has room for: %lu\n", pages, room);
		pages = room;
	}
	filled = load_shared(sizeof(*filled));
}

static void done(ssize_t result, const char *what)
{
	if (result < 0 && errno != ENOMEM && errno != EINTR)
		load_fail(what);
}

static void work(unsigned int worker)
{
	static char span[SPAN * LOAD_PAGE];
	unsigned long at, count;
	int fd;

	(void)worker;
	fd = open("pages", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		load_fail("pages");
	for (at = 0; at < load_due(pages); at += SPAN, load_throttle())
		done(pwrite(fd, span, sizeof(span), at * LOAD_PAGE), "write");
	*filled = 1;
	for (;; load_throttle()) {
		at = load_pick(load_due(pages));
		count = (1 + load_pick(SPAN)) * LOAD_PAGE;
		if (load_pick(3)) {
			done(pread(fd, span, count, at * LOAD_PAGE), "read");
		} else {
			span[0]++;
			done(pwrite(fd, span, count, at * LOAD_PAGE), "write");
		}
	}
}

static bool on(void)
{
	static unsigned long before;
	unsigned long stolen = load_vmstat("pgsteal_kswapd") + load_vmstat("pgsteal_direct");
	bool moving = before && stolen > before;

	before = stolen;
	return *filled && moving;
}

int main(int argc, char **argv)
{
	static const struct load_kind pagecache = {
		LOAD_OF_MEMORY,
		.in_dir = true,
		.most = 1000,
		.begin = begin,
		.work = work,
		.on = on,
	};

	return load_main(&pagecache, argc, argv);
}
