// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: inodes and dentries, more than there is memory for, so that the kernel shrinks these
 * slabs all the time. One name in SPARSE is that of a file; of the others the kernel remembers
 * that they are not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

/*
 * A dentry, and its name: over 40 bytes it is in a piece of memory of its own. Two objects for
 * one look-up fill memory sooner.
 */
#define NAME 200
#define BYTES_PER_NAME (192 + 256)
#define SPARSE 16
#define FILES 4096UL /* at most, for what ext4 makes of the disk is one inode for 16 KiB */
#define BATCH 64

static unsigned long names;
static unsigned long before;

static void begin(void)
{
	names = 1 + load_percent() / BYTES_PER_NAME;
	before = load_vmstat("slabs_scanned");
}

static bool is_file(unsigned long name)
{
	return name % SPARSE == 0 && name / SPARSE < FILES;
}

static void look(unsigned long name)
{
	char path[NAME + 1];
	struct stat is;

	memset(path, '-', NAME);
	path[NAME] = '\0';
	path[snprintf(path, NAME, "%lu", name)] = '-';
	if (!stat(path, &is) || errno == ENOMEM)
		return;
	if (errno != ENOENT)
		load_fail(path);
	if (is_file(name)) {
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd >= 0)
			close(fd);
		else if (errno != ENOSPC && errno != ENOMEM)
			load_fail(path);
	}
}

static void work(unsigned int worker)
{
	unsigned int i;

	(void)worker;
	for (;; load_throttle()) {
		for (i = 0; i < BATCH; i++)
			look(load_pick(load_due(names)));
	}
}

static bool on(void)
{
	return load_vmstat("slabs_scanned") > before;
}

int main(int argc, char **argv)
{
	static const struct load_kind slab = {
		LOAD_OF_MEMORY,
		.in_dir = true,
		.most = 1000,
		.begin = begin,
		.work = work,
		.on = on,
	};

	return load_main(&slab, argc, argv);
}
