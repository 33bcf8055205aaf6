// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: files in memory (tmpfs), more than there is RAM for, with swap on compressed RAM (zram).
 * They are written, read, truncated and removed, in an order that the seed decides.
 *
 * The OOM killer frees none of it: the next worker begins by removing all files.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "swap.h"
#include "working_set.h"

#define WHERE "/tmp/load-tmpfs"
#define FILES 64UL

static unsigned long bytes; /* all files together, at most */
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

static void path_of(char path[64], unsigned long file)
{
	snprintf(path, 64, WHERE "/%lu", file);
}

static void refused(const char *what)
{
	if (errno != ENOSPC && errno != ENOMEM && errno != EINTR && errno != ENOENT)
		load_fail(what);
}

/* Write @pages of a file from its begin on; those that are there are swapped in. */
static void write_pages(unsigned long file, unsigned long pages)
{
	static uint64_t page[LOAD_PAGE / sizeof(uint64_t)];
	char path[64];
	int fd;

	path_of(path, file);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return refused(path);
	while (pages--) {
		working_set_fill(page);
		if (write(fd, page, sizeof(page)) < 0) {
			refused("write");
			break;
		}
	}
	close(fd);
}

static void read_pages(unsigned long file)
{
	static char page[LOAD_PAGE];
	char path[64];
	int fd;

	path_of(path, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refused(path);
	while (read(fd, page, sizeof(page)) > 0)
		;
	close(fd);
}

static void work(unsigned int worker)
{
	unsigned long most = bytes / FILES / LOAD_PAGE, file, written = 0;
	char path[64];

	(void)worker;
	for (file = 0; file < FILES; file++) {
		path_of(path, file);
		unlink(path);
	}
	for (;; load_breathe()) {
		unsigned long what = load_pick(16);

		file = load_pick(FILES);
		path_of(path, file);
		if (written < FILES) {
			/* First of all, all of them. */
			write_pages(written++, load_due(most));
			*filled = written == FILES;
		} else if (what == 0) {
			unlink(path);
		} else if (what == 1) {
			if (truncate(path, load_pick(most) * LOAD_PAGE) < 0)
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
		.most = 1000,
		.begin = begin,
		.work = work,
		.on = on,
		.end = end,
	};

	return load_main(&tmpfs, argc, argv);
}
