// SPDX-License-Identifier: GPL-2.0-only
/*
 * The port to the host. The host may be slow, gone, or come back as another process: nothing here
 * waits for it. What is queued while it is away is dropped when it comes back, except before it
 * first comes, so that a new host never starts in the middle of a line.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "files.h"
#include "link.h"

#define PORT_NAME "harness.agent"
#define PORTS "/sys/class/virtio-ports"

#define TX_BYTES (128 * 1024)
/* Room that must be left after a line of each use. */
#define ROOM_ANSWER LINE_BYTES
#define ROOM_OUTPUT (32 * 1024)
#define ROOM_HEARTBEAT (TX_BYTES - 16 * 1024)
/* The driver copies each write into a kmalloc of that size; keep it a page. */
#define WRITE_BYTES 4096

static char tx[TX_BYTES];
static size_t tx_start, tx_len;
static char rx[LINE_BYTES];
static size_t rx_len;
static bool rx_skip; /* in a line that was too long */
static size_t raw_left; /* bytes that are no lines */
static void (*take_raw)(const char *from, size_t len, size_t left);
static const struct link_callbacks *callbacks;
static int port = -1;
static bool connected;

static bool find_port(const char *wanted, char *path, size_t room)
{
	DIR *dir = opendir(PORTS);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		char file[sizeof(PORTS) + sizeof(entry->d_name) + 8], name[64];

		snprintf(file, sizeof(file), PORTS "/%s/name", entry->d_name);
		if (entry->d_name[0] == '.' || read_file(file, name, sizeof(name)) <= 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, wanted))
			continue;
		snprintf(path, room, "/dev/%s", entry->d_name);
		found = true;
	}
	closedir(dir);
	return found;
}

int port_open(const char *name, int wait_ms)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t until = now_ms() + wait_ms;
	char path[300];

	/* The port gets its name from a message that the device sends after it was found. */
	for (;;) {
		if (find_port(name, path, sizeof(path))) {
			int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

			if (fd >= 0)
				return fd;
		}
		if (now_ms() >= until)
			return -1;
		nanosleep(&pause, NULL);
	}
}

bool link_open(int wait_ms, const struct link_callbacks *calls)
{
	callbacks = calls;
	port = port_open(PORT_NAME, wait_ms);
	if (port < 0)
		return false;
	/* The driver sends SIGIO when the host opens or closes its end. */
	fcntl(port, F_SETOWN, getpid());
	fcntl(port, F_SETFL, fcntl(port, F_GETFL) | O_ASYNC);
	return true;
}

int link_fd(void)
{
	return port;
}

bool link_connected(void)
{
	struct pollfd set = { .fd = port, .events = POLLOUT };
	bool now = port >= 0 && poll(&set, 1, 0) >= 0 && !(set.revents & (POLLHUP | POLLERR));

	if (now == connected)
		return now;
	connected = now;
	if (now) {
		callbacks->up();
	} else {
		tx_start = tx_len = rx_len = raw_left = 0;
		rx_skip = false;
		callbacks->down();
	}
	return now;
}

bool link_room(enum link_use use)
{
	size_t left = TX_BYTES - tx_len;

	switch (use) {
	case LINK_ANSWER:
		return left >= 2 * ROOM_ANSWER;
	case LINK_OUTPUT:
		return left >= ROOM_OUTPUT;
	case LINK_HEARTBEAT:
		return left >= ROOM_HEARTBEAT;
	}
	return false;
}

bool link_pending(void)
{
	return tx_len > 0;
}

static void queue(const char *from, size_t len)
{
	size_t end = (tx_start + tx_len) % TX_BYTES;
	size_t first = TX_BYTES - end < len ? TX_BYTES - end : len;

	memcpy(tx + end, from, first);
	memcpy(tx, from + first, len - first);
	tx_len += len;
}

void link_line(const char *format, ...)
{
	static char line[LINE_BYTES];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 1)
		len = sizeof(line) - 1;
	line[len++] = '\n'; /* in place of the NUL */
	if (TX_BYTES - tx_len >= (size_t)len)
		queue(line, len);
}

void link_flush(void)
{
	while (connected && tx_len) {
		size_t chunk = TX_BYTES - tx_start;
		ssize_t put;

		if (chunk > tx_len)
			chunk = tx_len;
		if (chunk > WRITE_BYTES)
			chunk = WRITE_BYTES;
		put = write(port, tx + tx_start, chunk);
		if (put <= 0)
			return; /* full, or the host has just left: poll() tells */
		tx_start = (tx_start + put) % TX_BYTES;
		tx_len -= put;
	}
}

void link_expect(size_t count, void (*take)(const char *from, size_t len, size_t left))
{
	raw_left = count;
	take_raw = take;
}

static void take_lines(void)
{
	char *from = rx, *stop = rx + rx_len, *end;

	for (;;) {
		size_t raw = (size_t)(stop - from) < raw_left ? (size_t)(stop - from) : raw_left;

		if (raw) {
			raw_left -= raw;
			take_raw(from, raw, raw_left);
			from += raw;
		}
		end = memchr(from, '\n', stop - from);
		if (!end)
			break;
		*end = '\0';
		if (!rx_skip)
			callbacks->line(from);
		rx_skip = false;
		from = end + 1;
	}
	rx_len = stop - from;
	memmove(rx, from, rx_len);
	if (rx_len == sizeof(rx)) {
		/* No protocol line is that long; drop it up to its end. */
		rx_len = 0;
		rx_skip = true;
	}
}

void link_read(void)
{
	/* Every line may need an answer, and a read may hold many lines: small reads. */
	while (link_room(LINK_ANSWER)) {
		size_t room = sizeof(rx) - rx_len;
		size_t most = raw_left ? sizeof(rx) : 512;
		ssize_t got = read(port, rx + rx_len, room < most ? room : most);

		if (got <= 0)
			return;
		rx_len += got;
		take_lines();
	}
}
