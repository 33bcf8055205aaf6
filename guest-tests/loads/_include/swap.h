/* SPDX-License-Identifier: GPL-2.0-only */
/* Swap for a load, on a compressed RAM disk (zram) of its own or on a disk; gone with the load. */
#ifndef LOADS_SWAP_H
#define LOADS_SWAP_H

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/swap.h>

#include "load.h"

static char swap_device[32]; /* what is swapped to; empty: nothing yet */
static int swap_zram = -1; /* number of the zram disk that it is on */

/* What mkswap writes: version, last page and magic, all in the first page. */
static inline void swap_format(unsigned long bytes)
{
	static union {
		char page[LOAD_PAGE];
		struct {
			char boot[1024];
			uint32_t version, last_page, bad_pages;
		} head;
	} swap;
	int fd = open(swap_device, O_WRONLY | O_CLOEXEC);

	swap.head.version = 1;
	swap.head.last_page = bytes / LOAD_PAGE - 1;
	memcpy(swap.page + LOAD_PAGE - 10, "SWAPSPACE2", 10);
	if (fd < 0 || write(fd, swap.page, LOAD_PAGE) != (ssize_t)LOAD_PAGE || fsync(fd) < 0)
		load_fail(swap_device);
	close(fd);
}

/* On a new zram disk for @bytes of pages, whatever they compress to. */
static inline void swap_on_zram(unsigned long bytes)
{
	char path[64], size[32];

	/* Reading makes one: two loads that swap do not share, and none is left of who was killed. */
	swap_zram = atoi(load_read("/sys/class/zram-control/hot_add"));
	snprintf(swap_device, sizeof(swap_device), "/dev/zram%d", swap_zram);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", swap_zram);
	snprintf(size, sizeof(size), "%lu", bytes);
	load_write(path, size);
	swap_format(bytes);
	if (swapon(swap_device, 0) < 0)
		load_fail(swap_device);
}

/* Bytes of the load's disk. */
static inline unsigned long swap_disk_bytes(void)
{
	uint64_t bytes;
	int fd;

	load_needs(load.disk, "disk");
	fd = open(load.disk, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		load_fail(load.disk);
	close(fd);
	return bytes;
}

/* On all of the load's disk. */
static inline void swap_on_disk(void)
{
	unsigned long bytes = swap_disk_bytes();

	snprintf(swap_device, sizeof(swap_device), "%s", load.disk);
	swap_format(bytes);
	if (swapon(swap_device, 0) < 0)
		load_fail(swap_device);
}

/*
 * The OOM killer takes who is swapping off before all others, whatever its oom_score_adj: that is
 * a child, so that the parent lives to clean up.
 */
static inline bool swap_given_up(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(swapoff(swap_device) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s is still swapped to: %s\n", swap_device, strerror(errno));
	else if (WIFSIGNALED(status))
		printf("%s is still swapped to: killed by signal %d\n", swap_device,
		       WTERMSIG(status));
	else if (status)
		printf("%s is still swapped to: %s\n", swap_device, strerror(WEXITSTATUS(status)));
	else
		return true;
	return false;
}

/* The guest as it was; no failure if there is no memory for what others have there. */
static inline void swap_off(void)
{
	char path[64], number[16];

	if (!swap_given_up() || swap_zram < 0)
		return;
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", swap_zram);
	load_write(path, "1");
	snprintf(number, sizeof(number), "%d", swap_zram);
	load_write("/sys/class/zram-control/hot_remove", number);
}

/* Whether pages went to swap since the last call; in the parent only. */
static inline bool swap_moves(void)
{
	static unsigned long before;
	unsigned long out = load_vmstat("pswpout");
	bool moving = before && out > before;

	before = out;
	return moving;
}

#endif
