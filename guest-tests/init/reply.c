// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "encode.h"
#include "link.h"
#include "reply.h"

long spin_us;

static void send_error(unsigned long id, const char *text)
{
	char word[300];

	encode_word(word, sizeof(word), text, strlen(text), NULL);
	link_line("err %lu %s", id, word);
}

void answer(unsigned long id, int error)
{
	if (error)
		send_error(id, strerror(error));
	else
		link_line("ok %lu", id);
}

void refuse(unsigned long id, const char *what, int error)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	send_error(id, text);
}

void send_ready(const char *head)
{
	struct utsname system;
	struct sysinfo memory;

	uname(&system);
	sysinfo(&memory);
	link_line("%s release=%s mem_total_kb=%llu mem_free_kb=%llu cpus=%ld uptime_ms=%llu "
		  "spin_us=%ld",
		  head, system.release,
		  (unsigned long long)memory.totalram * memory.mem_unit / 1024,
		  (unsigned long long)memory.freeram * memory.mem_unit / 1024,
		  sysconf(_SC_NPROCESSORS_ONLN), (unsigned long long)now_ms(), spin_us);
}
