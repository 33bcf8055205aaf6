// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "swap.h"

static char device[32]; /* what is swapped to */
static int zram = -1; /* number of the zram disk that it is */

/* What mkswap writes: version, last page and magic, all in the first page. */
static void format(unsigned long bytes)
{
	static union {
		char page[LOAD_PAGE];
		struct {
			char boot[1024];
			uint32_t version, last_page, bad_pages;
		} head;
	} swap;
	int fd = open(device, O_WRONLY | O_CLOEXEC);

	swap.head.version = 1;
	swap.head.last_page = bytes / LOAD_PAGE - 1;
	memcpy(swap.page + LOAD_PAGE - 10, "SWAPSPACE2", 10);
	if (fd < 0 || write(fd, swap.page, LOAD_PAGE) != (ssize_t)LOAD_PAGE || fsync(fd) < 0)
		load_fail(device);
	close(fd);
}

void swap_on_zram(unsigned long bytes)
{
	char path[64], size[32];

	/* Reading makes one: two loads that swap do not share, and none is left of who was killed. */
	zram = atoi(load_read("/sys/class/zram-control/hot_add"));
	snprintf(device, sizeof(device), "/dev/zram%d", zram);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", zram);
	snprintf(size, sizeof(size), "%lu", bytes);
	load_write(path, size);
	format(bytes);
	if (swapon(device, 0) < 0)
		load_fail(device);
}

unsigned long swap_disk_bytes(void)
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

void swap_on_disk(void)
{
	unsigned long bytes = swap_disk_bytes();

	snprintf(device, sizeof(device), "%s", load.disk);
	format(bytes);
	if (swapon(device, 0) < 0)
		load_fail(device);
}

/*
 * The OOM killer takes who is swapping off before all others, whatever its oom_score_adj: that is
 * a child, so that the parent lives to clean up.
 */
static bool swapoff_in_child(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(swapoff(device) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s is still swapped to: %s\n", device, strerror(errno));
	else if (WIFSIGNALED(status))
		printf("%s is still swapped to: killed by signal %d\n", device, WTERMSIG(status));
	else if (status)
		printf("%s is still swapped to: %s\n", device, strerror(WEXITSTATUS(status)));
	else
		return true;
	return false;
}

void swap_off(void)
{
	char path[64], number[16];

	if (!swapoff_in_child() || zram < 0)
		return;
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", zram);
	load_write(path, "1");
	snprintf(number, sizeof(number), "%d", zram);
	load_write("/sys/class/zram-control/hot_remove", number);
}

bool swap_moves(void)
{
	static unsigned long before;
	unsigned long out = load_vmstat("pswpout");
	bool moving = before && out > before;

	before = out;
	return moving;
}
