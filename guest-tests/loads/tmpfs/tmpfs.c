// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: files in memory (tmpfs), more than there is RAM for, with swap on compressed RAM (zram).
 * They are written, read, truncated and removed, in an order that the seed decides.
 *
 * They have no names, and are gone with the worker: killing it would free nothing else, and the
 * OOM killer would go on to kill who is no part of the load.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "swap.h"
#include "working_set.h"

#define WHERE "/tmp/load-tmpfs"
#define FILES 64UL
/* zram takes some 30 % of what it stores: from 250 % on, too little is left beside it. */
#define MOST 200

static unsigned long bytes; /* all files together, at most */
static int files[FILES]; /* of the worker; below 0: there is none */
static volatile unsigned long *filled;

static void begin(void)
{
	char options[64];

	bytes = load_percent();
	filled = load_shared(sizeof(*filled));
	swap_on_zram(bytes);
	snprintf(options, sizeof(options), "size=%lu,mode=0700", bytes + (1UL << 20));
	if (mkdir(WHERE, 0700) < 0 || mount("tmpfs", WHERE, "tmpfs", 0, options) < 0)
		load_fail(WHERE);
}

static void refused(const char *what)
{
	if (errno != ENOSPC && errno != ENOMEM && errno != EINTR)
		load_fail(what);
}

static void create(unsigned long file)
{
	files[file] = open(WHERE, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (files[file] < 0)
		refused("create");
}

static void remove_file(unsigned long file)
{
	if (files[file] >= 0)
		close(files[file]);
	files[file] = -1;
}

/* Write @pages of a file from its begin on; those that are there are swapped in. */
static void write_pages(unsigned long file, unsigned long pages)
{
	static uint64_t page[LOAD_PAGE / sizeof(uint64_t)];
	unsigned long at;

	if (files[file] < 0)
		create(file);
	for (at = 0; files[file] >= 0 && at < pages; at++) {
		working_set_fill(page);
		if (pwrite(files[file], page, sizeof(page), at * LOAD_PAGE) < 0)
			return refused("write");
	}
}

static void read_pages(unsigned long file)
{
	static char page[LOAD_PAGE];
	off_t at;

	for (at = 0; files[file] >= 0; at += LOAD_PAGE) {
		if (pread(files[file], page, sizeof(page), at) <= 0)
			return;
	}
}

static void work(unsigned int worker)
{
	unsigned long most = bytes / FILES / LOAD_PAGE, file, written = 0;

	(void)worker;
	for (file = 0; file < FILES; file++)
		files[file] = -1;
	for (;; load_throttle()) {
		unsigned long what = load_pick(16);

		file = load_pick(FILES);
		if (written < FILES) {
			/* First of all, all of them. */
			write_pages(written++, load_due(most));
			*filled = written == FILES;
		} else if (what == 0) {
			remove_file(file);
		} else if (what == 1) {
			if (files[file] >= 0 &&
			    ftruncate(files[file], load_pick(most) * LOAD_PAGE) < 0)
				refused("truncate");
		} else if (what < 8) {
			read_pages(file);
		} else {
			write_pages(file, load_due(most));
		}
	}
}

static bool on(void)
{
	return *filled && swap_moves();
}

static void end(void)
{
	/* First the files, which are what is in the swap. */
	if (!umount(WHERE))
		rmdir(WHERE);
	swap_off();
}

int main(int argc, char **argv)
{
	static const struct load_kind tmpfs = {
		LOAD_OF_MEMORY,
		.most = MOST,
		.begin = begin,
		.work = work,
		.on = on,
		.end = end,
	};

	return load_main(&tmpfs, argc, argv);
}
