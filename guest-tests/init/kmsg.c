// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's log, record by record. Records wait in the kernel's own ring while the host does
 * not read; the host sees from the sequence numbers if some were overwritten meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kmsg.h"
#include "link.h"

static int log_fd = -1;

void kmsg_open(void)
{
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

int kmsg_fd(void)
{
	return log_fd;
}

/* "prio,seq,usec,flags[,more];text\n KEY=value\n...", everything unprintable as \xNN. */
static void send_record(char *record)
{
	char *text = strchr(record, ';');
	char *field = record;
	int commas = 0;

	if (!text)
		return;
	*text++ = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (; *field; field++) {
		if (*field == ',' && ++commas == 3) {
			*field = '\0';
			break;
		}
	}
	link_line("kmsg %s;%s", record, text);
}

bool kmsg_pump(void)
{
	static char record[LINE_BYTES + 1];

	if (log_fd < 0)
		return true;
	while (link_room(LINK_OUTPUT)) {
		ssize_t got = read(log_fd, record, sizeof(record) - 1);

		if (got < 0 && errno == EPIPE)
			continue; /* overwritten; the next read gives the oldest there is */
		if (got <= 0)
			return true;
		record[got] = '\0';
		send_record(record);
	}
	return false;
}
