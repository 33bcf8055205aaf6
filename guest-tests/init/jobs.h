/* SPDX-License-Identifier: GPL-2.0-only */
/* Jobs: what runs in a child of its own, for the host. */
#ifndef INIT_JOBS_H
#define INIT_JOBS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * enum job_kind - what the child does with its arguments
 * @JOB_INSMOD: path and parameters of a module
 * @JOB_RMMOD: name of a module
 * @JOB_EXEC: program and arguments
 * @JOB_START: the same, and its pid is answered at once
 * @JOB_READ: path of a file
 * @JOB_CAPTURE: a program of PID 1's own, see job_capture()
 */
enum job_kind {
	JOB_INSMOD,
	JOB_RMMOD,
	JOB_EXEC,
	JOB_START,
	JOB_READ,
	JOB_CAPTURE,
};

/**
 * struct job_end - what is known of a job that is over
 * @id: of the request
 * @status: as of wait()
 * @ms: how long it ran
 * @output: of JOB_CAPTURE: what it wrote, up to 4 KiB, NUL-ended
 */
struct job_end {
	unsigned long id;
	int status;
	unsigned long ms;
	const char *output;
};

typedef void job_ended(const struct job_end *end);

/**
 * job_start() - start a job whose output and end are sent to the host
 * @kind: not JOB_CAPTURE
 * @id: of the request; if the job cannot be started, that is answered
 * @argv: arguments, with a NULL at their end
 */
void job_start(enum job_kind kind, unsigned long id, char **argv);

/**
 * job_capture() - start a program whose output is kept
 * @id: of the request; if the program cannot be started, that is answered
 * @argv: program and arguments, with a NULL at their end
 * @ended: answers the request
 */
void job_capture(unsigned long id, char **argv, job_ended *ended);

/**
 * job_stop() - send SIGTERM to a job, and SIGKILL after a while
 * @id: of the request, answered at once
 * @job_id: of the request that started the job
 * @grace_ms: how long until SIGKILL
 */
void job_stop(unsigned long id, unsigned long job_id, unsigned long grace_ms);

/**
 * job_reaped() - take note of a dead child
 * @pid: the child; nothing is done if it was no job
 * @status: as of wait()
 */
void job_reaped(pid_t pid, int status);

/**
 * jobs_pump() - send output, and the ends of jobs
 * @log_sent: all that the kernel's log held when children were last reaped is queued
 */
void jobs_pump(bool log_sent);

/**
 * jobs_overdue() - send SIGKILL to jobs that were told to stop and did not in time
 *
 * Return: milliseconds until the next one is due, or -1.
 */
int jobs_overdue(void);

/**
 * jobs_poll() - add the jobs' pipes to a poll set
 * @set: where to
 * @room: entries that it has left
 *
 * Return: how many were added.
 */
size_t jobs_poll(struct pollfd *set, size_t room);

#endif
