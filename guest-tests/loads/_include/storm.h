/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A storm of metadata on a file system: files are created, renamed, linked, given attributes,
 * unlinked and synced, in a tree of directories, in an order that the seed decides.
 *
 * There are as many names as make inodes and their pages outgrow the memory available, so that
 * the kernel must shrink its caches and write back to go on. With a ramp their number grows.
 *
 * A round is ROUND operations. What the file system refuses for want of space or memory is
 * weather; any other error ends the storm, and its own check decides what it was.
 */
#ifndef LOADS_STORM_H
#define LOADS_STORM_H

#include <sys/stat.h>
#include <sys/xattr.h>

#include "load.h"

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
static unsigned long storm_per_worker;

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
	load_fail(what);
	return false;
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
	if (chdir(load.dir) < 0)
		load_fail(load.dir);
	storm_ok(mkdir(path, 0755), "mkdir");
	if (chdir(path) < 0)
		load_fail(path);
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
	size_t size = 1 + load_pick(sizeof(value));

	if (load_pick(4) == 0)
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
	storm_ok(write(fd, data, 1 + load_pick(sizeof(data))), "write");
	close(fd);
	return true;
}

static void storm_step(unsigned long *done, unsigned long names)
{
	unsigned long what = load_pick(32);
	char path[64], other[64];

	storm_path(path, load_pick(names));
	storm_path(other, load_pick(names));
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

static void storm_work(unsigned int worker)
{
	storm_tree(worker);
	for (;;)
		storm_step(storm_done[worker], load_due(storm_per_worker));
}

/* ---------------------------------------------------------------- parent */

static unsigned long storm_rounds(unsigned int worker)
{
	unsigned long all = 0;
	int i;

	for (i = 0; i < STORM_OPERATIONS; i++)
		all += storm_done[worker][i];
	return all / ROUND;
}

static void storm_begin(void)
{
	load_needs(load.dir, "dir");
	storm_per_worker = load_available() / STORM_BYTES_PER_NAME;
	if (storm_per_worker > STORM_NAMES)
		storm_per_worker = STORM_NAMES;
	storm_per_worker = 1 + storm_per_worker / load.intensity;
	storm_done = load_shared(LOAD_WORKERS * sizeof(*storm_done));
}

static bool storm_on(void)
{
	unsigned int worker;

	for (worker = 0; worker < load.intensity; worker++) {
		if (!storm_rounds(worker))
			return false;
	}
	return true;
}

static void storm_end(void)
{
	unsigned long rounds = 0, count;
	unsigned int worker;
	int i;

	for (worker = 0; worker < load.intensity; worker++)
		rounds += storm_rounds(worker);
	printf("storm complete: %lu rounds", rounds);
	for (i = 0; i < STORM_OPERATIONS; i++) {
		for (count = 0, worker = 0; worker < load.intensity; worker++)
			count += storm_done[worker][i];
		printf(", %lu %s", count, storm_names[i]);
	}
	putchar('\n');
}

static int storm_main(int argc, char **argv)
{
	static const struct load_kind storm = {
		.intensity = "workers",
		.least = 1,
		.most = LOAD_WORKERS,
		.begin = storm_begin,
		.work = storm_work,
		.on = storm_on,
		.end = storm_end,
	};

	return load_main(&storm, argc, argv);
}

#endif
