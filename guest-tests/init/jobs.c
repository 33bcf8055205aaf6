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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define MAX_JOBS 8
#define OUT_BYTES 4096 /* a line of output is cut at that length */

struct job {
	bool used, dead;
	enum job_kind kind;
	unsigned long id;
	pid_t pid;
	int pipe; /* -1: at its end */
	int result; /* wait status */
	uint64_t started_ms, took_ms, kill_ms;
	char line[OUT_BYTES];
	size_t len;
};

static struct job jobs[MAX_JOBS];

/* What a job is called until it runs another program, and its OOM score. */
static const struct {
	const char *name, *score;
} kinds[] = {
	[JOB_INSMOD] = { "insmod", OOM_LAST },   [JOB_RMMOD] = { "rmmod", OOM_LAST },
	[JOB_EXEC] = { "init", OOM_ORDINARY },   [JOB_START] = { "init", OOM_ORDINARY },
	[JOB_READ] = { "read", OOM_NEVER },      [JOB_HOSTKEY] = { "init", OOM_NEVER },
};

void oom_score(const char *score)
{
	write_file("/proc/self/oom_score_adj", score, strlen(score));
}

void child_reset(const char *name, const char *score)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	prctl(PR_SET_NAME, name);
	oom_score(score);
}

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

static void run_child(enum job_kind kind, char **argv, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	child_reset(kinds[kind].name, kinds[kind].score);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	switch (kind) {
	case JOB_INSMOD:
		run_insmod(argv);
		break;
	case JOB_RMMOD:
		run_rmmod(argv);
		break;
	case JOB_READ:
		run_read(argv);
		break;
	default:
		execv(argv[0], argv);
		dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	}
	_exit(127);
}

static bool answers_ok(enum job_kind kind)
{
	return kind == JOB_RMMOD || kind == JOB_HOSTKEY || kind == JOB_START;
}

static void refuse(enum job_kind kind, unsigned long id, int error)
{
	char text[128];

	encode_word(text, sizeof(text), strerror(error), strlen(strerror(error)), NULL);
	if (answers_ok(kind))
		link_line("err %lu %s", id, text);
	else
		link_line("end %lu errno:%d ms=0", id, error);
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

void job_start(enum job_kind kind, unsigned long id, char **argv)
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
	if (error) {
		refuse(kind, id, error);
		return;
	}
	job->used = true;
	if (kind == JOB_START)
		link_line("ok %lu pid=%d", id, job->pid);
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

void jobs_reap(void)
{
	int result, i;
	pid_t pid;

	while ((pid = waitpid(-1, &result, WNOHANG)) > 0) {
		if (shell_reaped(pid))
			continue;
		for (i = 0; i < MAX_JOBS; i++) {
			if (!jobs[i].used || jobs[i].dead || jobs[i].pid != pid)
				continue;
			jobs[i].dead = true;
			jobs[i].result = result;
			jobs[i].took_ms = now_ms() - jobs[i].started_ms;
		}
	}
}

static void send_out(struct job *job, size_t len)
{
	char text[LINE_BYTES - 64];
	size_t from = 0, used;

	if (job->kind == JOB_HOSTKEY || job->kind == JOB_RMMOD)
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
		if (job->kind == JOB_HOSTKEY && !strncmp(job->line, "ssh-", 4))
			return; /* the public key; keep it at the start of the buffer */
		job->len -= len + 1;
		memmove(job->line, end + 1, job->len);
	}
	if (job->len && (all || job->len == sizeof(job->line))) {
		send_out(job, job->len);
		job->len = 0;
	}
}

/* Returns whether the pipe is empty, or at its end. */
static bool pump_pipe(struct job *job)
{
	while (job->pipe >= 0) {
		size_t room = sizeof(job->line) - job->len;
		ssize_t got;

		if (!link_room(LINK_OUTPUT))
			return false;
		if (!room)
			return true; /* only a host key that nobody asked to be that long */
		got = read(job->pipe, job->line + job->len, room);
		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0) {
			close(job->pipe);
			job->pipe = -1;
			break;
		}
		job->len += got;
		cut_lines(job, false);
	}
	return true;
}

static void finish_hostkey(struct job *job)
{
	bool ok = WIFEXITED(job->result) && !WEXITSTATUS(job->result) &&
		  !strncmp(job->line, "ssh-", 4 < job->len ? 4 : job->len) && job->len > 4;
	size_t len = 0;

	while (ok && len < job->len && job->line[len] != '\n')
		len++;
	if (len == sizeof(job->line))
		len--;
	job->line[len] = '\0';
	sshd_ready(job->id, ok ? job->line : NULL);
}

static void finish(struct job *job)
{
	int code = WIFEXITED(job->result) ? WEXITSTATUS(job->result) : -1;
	unsigned long ms = job->took_ms;

	/* A grandchild may hold the pipe for ever; what it writes from here on is nobody's. */
	if (job->pipe >= 0)
		close(job->pipe);
	job->pipe = -1;
	job->used = false;
	if (job->kind == JOB_HOSTKEY) {
		finish_hostkey(job);
		return;
	}
	cut_lines(job, true);
	if (job->kind == JOB_RMMOD && code)
		refuse(job->kind, job->id, code < 0 ? EINTR : code);
	else if (job->kind == JOB_RMMOD)
		link_line("ok %lu", job->id);
	else if (code < 0)
		link_line("end %lu signal:%d ms=%lu", job->id, WTERMSIG(job->result), ms);
	else if ((job->kind == JOB_INSMOD || job->kind == JOB_READ) && code)
		link_line("end %lu errno:%d ms=%lu", job->id, code, ms);
	else
		link_line("end %lu exit:%d ms=%lu", job->id, code, ms);
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
		if (jobs[i].used && jobs[i].pipe >= 0 && jobs[i].len < sizeof(jobs[i].line))
			set[count++] = (struct pollfd){ .fd = jobs[i].pipe, .events = POLLIN };
	}
	return count;
}
