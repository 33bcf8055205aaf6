// SPDX-License-Identifier: GPL-2.0-only
/* What the host may ask for: one line, one verb. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "encode.h"
#include "files.h"
#include "jobs.h"
#include "link.h"
#include "put.h"
#include "reply.h"
#include "sshd.h"
#include "verbs.h"

#define MAX_WORDS 64 /* verb, id and arguments of one line */

static void verb_hello(unsigned long id, char **argv)
{
	char head[32];

	(void)argv;
	snprintf(head, sizeof(head), "ok %lu", id);
	send_ready(head);
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

static const struct verb {
	const char *name;
	int least; /* arguments it needs */
	void (*run)(unsigned long id, char **argv); /* NULL: a job is started */
	enum job_kind job;
} verbs[] = {
	{ "hello", 0, .run = verb_hello },  { "write", 2, .run = verb_write },
	{ "insmod", 1, .job = JOB_INSMOD }, { "rmmod", 1, .job = JOB_RMMOD },
	{ "exec", 1, .job = JOB_EXEC },	    { "start", 1, .job = JOB_START },
	{ "read", 1, .job = JOB_READ },	    { "stop", 2, .run = verb_stop },
	{ "sshd", 1, .run = verb_sshd },    { "wake", 2, .run = verb_wake },
	{ "put", 3, .run = verb_put },	    { "poweroff", 0, .run = verb_poweroff },
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
		const struct verb *verb = &verbs[i];

		if (strcmp(words[0], verb->name))
			continue;
		if (count - 2 < verb->least)
			link_line("err %lu %s%%20needs%%20%d%%20arguments", id, verb->name,
				  verb->least);
		else if (verb->run)
			verb->run(id, words + 2);
		else
			job_start(verb->job, id, words + 2);
		return;
	}
	link_line("err %lu unknown%%20verb", id);
}
