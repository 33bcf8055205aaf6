// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "load.h"
#include "metadata.h"

#define FANOUT 16 /* directories of a worker, and again in each of these */
#define BYTES_PER_NAME 4096 /* an inode, a dentry and its page need more than that */
#define MOST_NAMES 32768 /* what a disk of 320 MiB has room for */
#define DATA_BYTES 4096
#define VALUE_BYTES 400 /* bytes of an attribute: some fit into an inode, some do not */
#define ROUND 1000 /* operations */

enum operation {
	CREATE,
	RENAME,
	LINK,
	XATTR,
	UNLINK,
	FSYNC,
	OPERATIONS,
};

static const char *const operation_names[OPERATIONS] = {
	"create", "rename", "link", "xattr", "unlink", "fsync",
};

/* Shared by all workers; each writes its own row. */
static unsigned long (*done_by)[OPERATIONS];
static unsigned long per_worker;

/* Tolerates what another operation, or a lack of space or memory, may cause. */
static bool succeeded(long result, const char *what)
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
}

/* ---------------------------------------------------------------- worker */

static void name_path(char path[64], unsigned long name)
{
	snprintf(path, 64, "%lx/%lx/name-%lu", name % FANOUT, name / FANOUT % FANOUT, name);
}

static void make_tree(unsigned int worker)
{
	char path[64];
	int outer, inner;

	snprintf(path, sizeof(path), "%u", worker);
	succeeded(mkdir(path, 0755), "mkdir");
	if (chdir(path) < 0)
		load_fail(path);
	for (outer = 0; outer < FANOUT; outer++) {
		snprintf(path, sizeof(path), "%x", outer);
		succeeded(mkdir(path, 0755), "mkdir");
		for (inner = 0; inner < FANOUT; inner++) {
			snprintf(path, sizeof(path), "%x/%x", outer, inner);
			succeeded(mkdir(path, 0755), "mkdir");
		}
	}
}

static bool change_xattr(const char *path)
{
	char value[VALUE_BYTES];
	size_t size = 1 + load_pick(sizeof(value));

	if (load_pick(4) == 0)
		return succeeded(removexattr(path, "user.load"), "removexattr");
	memset(value, (int)size, size);
	return succeeded(setxattr(path, "user.load", value, size, 0), "setxattr");
}

static bool sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool done;

	if (!succeeded(fd, "open"))
		return false;
	done = succeeded(fsync(fd), "fsync");
	close(fd);
	return done;
}

/* Whether there was no such name yet. */
static bool create_file(const char *path)
{
	static const char data[DATA_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (!succeeded(fd, "create"))
		return false;
	succeeded(write(fd, data, 1 + load_pick(sizeof(data))), "write");
	close(fd);
	return true;
}

static void one_operation(unsigned long *done, unsigned long names)
{
	unsigned long what = load_pick(32);
	char path[64], other[64];

	name_path(path, load_pick(names));
	name_path(other, load_pick(names));
	if (create_file(path))
		done[CREATE]++;
	else if (what < 8)
		done[RENAME] += succeeded(rename(path, other), "rename");
	else if (what < 14)
		done[LINK] += succeeded(link(path, other), "link");
	else if (what < 22)
		done[XATTR] += change_xattr(path);
	else if (what < 31)
		done[UNLINK] += succeeded(unlink(path), "unlink");
	else
		done[FSYNC] += sync_file(path);
}

static void work(unsigned int worker)
{
	make_tree(worker);
	for (;;)
		one_operation(done_by[worker], load_due(per_worker));
}

/* ---------------------------------------------------------------- parent */

static unsigned long rounds_of(unsigned int worker)
{
	unsigned long all = 0;
	int i;

	for (i = 0; i < OPERATIONS; i++)
		all += done_by[worker][i];
	return all / ROUND;
}

static void begin(void)
{
	per_worker = load_available() / BYTES_PER_NAME;
	if (per_worker > MOST_NAMES)
		per_worker = MOST_NAMES;
	per_worker = 1 + per_worker / load.intensity;
	done_by = load_shared(LOAD_WORKERS * sizeof(*done_by));
}

static bool on(void)
{
	unsigned int worker;

	for (worker = 0; worker < load.intensity; worker++) {
		if (!rounds_of(worker))
			return false;
	}
	return true;
}

static void end(void)
{
	unsigned long rounds = 0, count;
	unsigned int worker;
	int i;

	for (worker = 0; worker < load.intensity; worker++)
		rounds += rounds_of(worker);
	printf("complete: %lu rounds", rounds);
	for (i = 0; i < OPERATIONS; i++) {
		for (count = 0, worker = 0; worker < load.intensity; worker++)
			count += done_by[worker][i];
		printf(", %lu %s", count, operation_names[i]);
	}
	putchar('\n');
}

int metadata_main(int argc, char **argv)
{
	static const struct load_kind metadata = {
		.intensity = "workers",
		.least = 1,
		.most = LOAD_WORKERS,
		.in_dir = true,
		.begin = begin,
		.work = work,
		.on = on,
		.end = end,
	};

	return load_main(&metadata, argc, argv);
}
