// SPDX-License-Identifier: GPL-2.0-only
/* File systems, and whole files at a time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static const struct {
	const char *type, *where, *options;
} mounts[] = {
	{ "devtmpfs", "/dev", "mode=0755" },
	{ "proc", "/proc", NULL },
	{ "sysfs", "/sys", NULL },
	{ "devpts", "/dev/pts", "mode=0620,ptmxmode=0666" },
	{ "tmpfs", "/tmp", "mode=1777" },
	{ "tmpfs", "/run", "mode=0755" },
	/* These two are there only if the kernel has them. */
	{ "debugfs", "/sys/kernel/debug", NULL },
	{ "tracefs", "/sys/kernel/tracing", NULL },
};

void mount_all(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	size_t i;

	for (i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const char *where = mounts[i].where;
		/* Programs may be copied to /tmp and run; /dev is made of device nodes. */
		unsigned long drop = !strcmp(where, "/dev")     ? MS_NODEV
				     : !strcmp(where, "/dev/pts") ? MS_NODEV
				     : !strcmp(where, "/tmp")     ? MS_NOEXEC
								  : 0;

		mkdir(where, 0755);
		mount(mounts[i].type, where, mounts[i].type, flags & ~drop, mounts[i].options);
	}
}

int write_file(const char *path, const char *value, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return errno;
	/* One write: a file of sysfs takes each write for a value of its own. */
	if (write(fd, value, len) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	return error;
}

ssize_t read_file(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while (len + 1 < room && (got = read(fd, to + len, room - 1 - len)) > 0)
		len += got;
	to[len] = '\0';
	close(fd);
	return len;
}

/*
 * A guest has next to no entropy of its own: without this, the first getrandom() waits some two
 * seconds for interrupts to come in.
 */
int seed_random(const char *seed)
{
	struct {
		struct rand_pool_info head;
		unsigned char bytes[64];
	} pool = { 0 };
	unsigned int byte;
	int fd, error = 0;
	size_t len = 0;

	for (; len < sizeof(pool.bytes) && seed[0] && seed[1]; seed += 2) {
		if (sscanf(seed, "%2x", &byte) != 1)
			break;
		pool.bytes[len++] = byte;
	}
	if (!len)
		return EINVAL;
	pool.head.entropy_count = len * 8;
	pool.head.buf_size = len;
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0)
		error = errno;
	/* Clones of one guest part ways at once, not at the next reseed. */
	ioctl(fd, RNDRESEEDCRNG);
	close(fd);
	return error;
}

void console_say(const char *format, ...)
{
	char line[256];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 1)
		len = sizeof(line) - 1;
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* no console: nobody to tell */
}
