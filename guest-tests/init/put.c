// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files from the host: a line says how many bytes follow it, and they come as they are. A test's
 * module or a load gets into a running guest this way, so that a guest is booted without knowing
 * what it will run and holds nothing in its little RAM that it does not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link.h"
#include "put.h"
#include "reply.h"

static struct {
	unsigned long id;
	int fd;	     /* -1: they are thrown away, the file could not be written */
	int error;
} put = { .fd = -1 };

static void put_end(void)
{
	if (put.fd >= 0 && close(put.fd) < 0 && !put.error)
		put.error = errno;
	put.fd = -1;
	answer(put.id, put.error);
}

static void put_take(const char *from, size_t len, size_t left)
{
	size_t took = 0;

	while (took < len && put.fd >= 0) {
		ssize_t wrote = write(put.fd, from + took, len - took);

		if (wrote > 0) {
			took += wrote;
			continue;
		}
		put.error = wrote < 0 ? errno : EIO;
		close(put.fd);
		put.fd = -1;
	}
	if (!left)
		put_end();
}

void put_begin(unsigned long id, const char *path, mode_t mode, size_t len)
{
	put.id = id;
	put.error = 0;
	/* A new file each time: a program that still runs cannot be written to. */
	unlink(path);
	put.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (put.fd < 0)
		put.error = errno;
	if (len)
		link_expect(len, put_take);
	else
		put_end();
}

void put_drop(void)
{
	if (put.fd >= 0)
		close(put.fd);
	put.fd = -1;
}
