// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: what runs in a child of its own. A job is over when its process is dead, its pipe is
 * empty and every log record that was there by then is queued; only then is its end sent.
 */
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "encode.h"
#include "jobs.h"
#include "link.h"
#include "reply.h"

#define MAX_JOBS 8
#define OUT_BYTES 4096 /* a line of output is cut at that length */

struct job {
	bool used, dead;
	enum job_kind kind;
	unsigned long id;
	pid_t pid;
	int pipe; /* -1: at its end */
	int status; /* as of wait() */
	uint64_t started_ms, took_ms, kill_ms;
	job_ended *ended;
	char line[OUT_BYTES + 1]; /* with room for a NUL */
	size_t len;
};

static struct job jobs[MAX_JOBS];

static void run_insmod(char **argv)
{
	char params[LINE_BYTES] = "";
	size_t len = 0;
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		_exit(errno);
	for (argv++; *argv; argv++)
		len += snprintf(params + len, sizeof(params) - len, "%s%s", len ? " " : "", *argv);
	if (syscall(SYS_finit_module, fd, params, 0) < 0)
		_exit(errno);
	_exit(0);
}

static void run_rmmod(char **argv)
{
	_exit(syscall(SYS_delete_module, argv[0], O_NONBLOCK) < 0 ? errno : 0);
}

static void run_read(char **argv)
{
	char buffer[4096];
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		_exit(errno);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		if (write(STDOUT_FILENO, buffer, got) != got)
			_exit(EIO);
	}
	_exit(got < 0 ? errno : 0);
}

/* The end of a program. */
static void end_program(const struct job_end *end)
{
	if (WIFEXITED(end->status))
		link_line("end %lu exit:%d ms=%lu", end->id, WEXITSTATUS(end->status), end->ms);
	else
		link_line("end %lu signal:%d ms=%lu", end->id, WTERMSIG(end->status), end->ms);
}

/* The end of a child that exits with an errno. */
static void end_call(const struct job_end *end)
{
	if (WIFEXITED(end->status) && WEXITSTATUS(end->status))
		link_line("end %lu errno:%d ms=%lu", end->id, WEXITSTATUS(end->status), end->ms);
	else
		end_program(end);
}

/* The same, as an answer. */
static void end_answer(const struct job_end *end)
{
	answer(end->id, WIFEXITED(end->status) ? WEXITSTATUS(end->status) : EINTR);
}

enum output { SENT, DROPPED, KEPT };

static const struct {
	const char *name, *score; /* until it runs another program; oom_score_adj */
	void (*run)(char **argv); /* never returns; NULL: the program argv[0] is run */
	job_ended *ended; /* NULL: each job has its own */
	enum output output;
	bool answered; /* that it cannot be started is an answer, not an end */
} kinds[] = {
	[JOB_INSMOD] = { "insmod", OOM_LAST, run_insmod, end_call, SENT, false },
	[JOB_RMMOD] = { "rmmod", OOM_LAST, run_rmmod, end_answer, DROPPED, true },
	[JOB_EXEC] = { "init", OOM_ORDINARY, NULL, end_program, SENT, false },
	[JOB_START] = { "init", OOM_ORDINARY, NULL, end_program, SENT, true },
	[JOB_READ] = { "read", OOM_NEVER, run_read, end_call, SENT, false },
	[JOB_CAPTURE] = { "init", OOM_NEVER, NULL, NULL, KEPT, true },
};

static void run_child(enum job_kind kind, char **argv, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	child_reset(kinds[kind].name, kinds[kind].score);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (kinds[kind].run)
		kinds[kind].run(argv);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* To the whole group; the child itself if it has not made one yet. */
static void signal_job(struct job *job, int number)
{
	if (kill(-job->pid, number) < 0)
		kill(job->pid, number);
}

/* Fork the child; returns an errno, 0 if it runs. */
static int fork_job(struct job *job, char **argv)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	job->pid = fork();
	if (job->pid == 0)
		run_child(job->kind, argv, ends[1]);
	close(ends[1]);
	if (job->pid < 0) {
		int error = errno;

		close(ends[0]);
		return error;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	job->pipe = ends[0];
	return 0;
}

static void start(enum job_kind kind, unsigned long id, char **argv, job_ended *ended)
{
	struct job *job = NULL;
	int i, error = EAGAIN;

	for (i = 0; i < MAX_JOBS && !job; i++) {
		if (!jobs[i].used)
			job = &jobs[i];
	}
	if (job) {
		job->kind = kind;
		job->id = id;
		job->ended = ended;
		job->dead = false;
		job->len = 0;
		job->kill_ms = 0;
		job->started_ms = now_ms();
		error = 0;
		/* A program that cannot be run is better refused than found out by a child. */
		if ((kind == JOB_EXEC || kind == JOB_START) && access(argv[0], X_OK) < 0)
			error = errno;
		if (!error)
			error = fork_job(job, argv);
	}
	if (error && kinds[kind].answered)
		answer(id, error);
	else if (error)
		link_line("end %lu errno:%d ms=0", id, error);
	else if (kind == JOB_START)
		link_line("ok %lu pid=%d", id, job->pid);
	if (!error)
		job->used = true;
}

void job_start(enum job_kind kind, unsigned long id, char **argv)
{
	start(kind, id, argv, kinds[kind].ended);
}

void job_capture(unsigned long id, char **argv, job_ended *ended)
{
	start(JOB_CAPTURE, id, argv, ended);
}

void job_stop(unsigned long id, unsigned long job_id, unsigned long grace_ms)
{
	int i;

	for (i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];

		if (!job->used || job->id != job_id)
			continue;
		if (!job->dead) {
			signal_job(job, SIGTERM);
			job->kill_ms = now_ms() + grace_ms;
		}
		link_line("ok %lu", id);
		return;
	}
	link_line("err %lu no%%20such%%20job", id);
}

int jobs_overdue(void)
{
	uint64_t now = now_ms();
	int next = -1, i;

	for (i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];

		if (!job->used || job->dead || !job->kill_ms)
			continue;
		if (job->kill_ms <= now) {
			signal_job(job, SIGKILL);
			job->kill_ms = 0;
		} else if (next < 0 || job->kill_ms - now < (uint64_t)next) {
			next = job->kill_ms - now;
		}
	}
	return next;
}

void job_reaped(pid_t pid, int status)
{
	int i;

	for (i = 0; i < MAX_JOBS; i++) {
		if (!jobs[i].used || jobs[i].dead || jobs[i].pid != pid)
			continue;
		jobs[i].dead = true;
		jobs[i].status = status;
		jobs[i].took_ms = now_ms() - jobs[i].started_ms;
	}
}

static void send_out(struct job *job, size_t len)
{
	char text[LINE_BYTES - 64];
	size_t from = 0, used;

	if (kinds[job->kind].output == DROPPED)
		return;
	do {
		encode_word(text, sizeof(text), job->line + from, len - from, &used);
		link_line("out %lu %s", job->id, text);
		from += used;
	} while (from < len);
}

/* Send whole lines; with @all also the rest that has no LF. */
static void cut_lines(struct job *job, bool all)
{
	char *end;

	while ((end = memchr(job->line, '\n', job->len))) {
		size_t len = end - job->line;

		send_out(job, len);
		job->len -= len + 1;
		memmove(job->line, end + 1, job->len);
	}
	if (job->len && (all || job->len == OUT_BYTES)) {
		send_out(job, job->len);
		job->len = 0;
	}
}

/* Returns whether the pipe is empty, or at its end. */
static bool pump_pipe(struct job *job)
{
	while (job->pipe >= 0) {
		size_t room = OUT_BYTES - job->len;
		ssize_t got;

		if (!link_room(LINK_OUTPUT))
			return false;
		if (!room)
			return true; /* of output that is kept; a pipe holds more of it */
		got = read(job->pipe, job->line + job->len, room);
		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0) {
			close(job->pipe);
			job->pipe = -1;
			break;
		}
		job->len += got;
		if (kinds[job->kind].output != KEPT)
			cut_lines(job, false);
	}
	return true;
}

static void finish(struct job *job)
{
	struct job_end end = {
		.id = job->id,
		.status = job->status,
		.ms = job->took_ms,
		.output = job->line,
	};

	/* A grandchild may hold the pipe for ever; what it writes from here on is nobody's. */
	if (job->pipe >= 0)
		close(job->pipe);
	job->pipe = -1;
	job->used = false;
	if (kinds[job->kind].output == KEPT)
		job->line[job->len] = '\0';
	else
		cut_lines(job, true);
	job->ended(&end);
}

void jobs_pump(bool log_sent)
{
	int i;

	for (i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];
		bool empty;

		if (!job->used)
			continue;
		/* Looked at before the pipe is: what it wrote before it died is then in. */
		empty = pump_pipe(job);
		if (job->dead && empty && log_sent && link_room(LINK_OUTPUT))
			finish(job);
	}
}

size_t jobs_poll(struct pollfd *set, size_t room)
{
	size_t count = 0;
	int i;

	for (i = 0; i < MAX_JOBS && count < room; i++) {
		if (jobs[i].used && jobs[i].pipe >= 0 && jobs[i].len < OUT_BYTES)
			set[count++] = (struct pollfd){ .fd = jobs[i].pipe, .events = POLLIN };
	}
	return count;
}
