// SPDX-License-Identifier: GPL-2.0-only
/* What the host may ask for: one line, one verb. */
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

long spin_us;

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

static void verb_hello(unsigned long id, char **argv)
{
	char head[64] = "ok ";
	char digits[24];
	int at = sizeof(digits) - 1;

	(void)argv;
	digits[at] = '\0';
	do {
		digits[--at] = '0' + id % 10;
		id /= 10;
	} while (id);
	strcat(head, digits + at);
	send_ready(head);
}

void answer(unsigned long id, int error)
{
	char text[128];

	if (!error) {
		link_line("ok %lu", id);
		return;
	}
	encode_word(text, sizeof(text), strerror(error), strlen(strerror(error)), NULL);
	link_line("err %lu %s", id, text);
}

static void verb_write(unsigned long id, char **argv)
{
	answer(id, write_file(argv[0], argv[1], strlen(argv[1])));
}

/* A guest that just came to be, or a copy of one that did a while ago: seed and clock are its own. */
static void verb_wake(unsigned long id, char **argv)
{
	int error = seed_random(argv[0]);

	answer(id, error ? error : set_clock(strtoull(argv[1], NULL, 10)));
}

static void verb_put(unsigned long id, char **argv)
{
	put_begin(id, argv[0], strtoul(argv[1], NULL, 8), strtoul(argv[2], NULL, 10));
}

static void verb_insmod(unsigned long id, char **argv)
{
	job_start(JOB_INSMOD, id, argv);
}

static void verb_rmmod(unsigned long id, char **argv)
{
	job_start(JOB_RMMOD, id, argv);
}

static void verb_exec(unsigned long id, char **argv)
{
	job_start(JOB_EXEC, id, argv);
}

static void verb_start(unsigned long id, char **argv)
{
	job_start(JOB_START, id, argv);
}

static void verb_read(unsigned long id, char **argv)
{
	job_start(JOB_READ, id, argv);
}

static void verb_stop(unsigned long id, char **argv)
{
	job_stop(id, strtoul(argv[0], NULL, 10), strtoul(argv[1], NULL, 10));
}

static void verb_sshd(unsigned long id, char **argv)
{
	sshd_start(id, argv[0]);
}

static void verb_poweroff(unsigned long id, char **argv)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	(void)argv;
	link_line("ok %lu", id);
	for (i = 0; i < 500 && link_connected() && link_pending(); i++) {
		link_flush();
		nanosleep(&pause, NULL);
	}
	sync();
	reboot(RB_POWER_OFF);
}

static const struct {
	const char *name;
	int least; /* arguments it needs */
	void (*run)(unsigned long id, char **argv);
} verbs[] = {
	{ "hello", 0, verb_hello },   { "write", 2, verb_write }, { "insmod", 1, verb_insmod },
	{ "rmmod", 1, verb_rmmod },   { "exec", 1, verb_exec },	  { "start", 1, verb_start },
	{ "stop", 2, verb_stop },     { "read", 1, verb_read },	  { "sshd", 1, verb_sshd },
	{ "wake", 2, verb_wake },     { "put", 3, verb_put },	  { "poweroff", 0, verb_poweroff },
};

void verb_line(char *line)
{
	char *words[MAX_WORDS + 1] = { NULL };
	unsigned long id;
	int count = 0, i;
	char *word, *rest;

	for (word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		if (count == MAX_WORDS) {
			link_line("err %s too%%20many%%20arguments", words[1]);
			return;
		}
		decode_word(word);
		words[count++] = word;
	}
	if (count < 2)
		return; /* nothing that could be answered */
	id = strtoul(words[1], NULL, 10);
	for (i = 0; i < (int)(sizeof(verbs) / sizeof(verbs[0])); i++) {
		if (strcmp(words[0], verbs[i].name))
			continue;
		if (count - 2 < verbs[i].least)
			link_line("err %lu %s%%20needs%%20%d%%20arguments", id, verbs[i].name,
				  verbs[i].least);
		else
			verbs[i].run(id, words + 2);
		return;
	}
	link_line("err %lu unknown%%20verb", id);
}
