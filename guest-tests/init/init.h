/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PID 1 of a guest: one poll loop, static buffers, no threads.
 *
 * The agent protocol is lines over the virtio-serial port "harness.agent"; guest-tests/README.md
 * describes it. Nothing here allocates memory once the loop runs, apart from what fork() and
 * write() make the kernel allocate: the guest is short of memory on purpose.
 */
#ifndef HARNESS_INIT_H
#define HARNESS_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_BYTES 8192 /* longest line of the protocol, with its LF */
#define MAX_WORDS 64	/* verb, id and arguments of one line */

/* ---- encode.c: percent encoding of one word of a line */

/*
 * Encode @len bytes of @from into @to, which takes @room bytes with the final NUL. Stops before a
 * byte that does not fit; @used, unless NULL, says how many bytes of @from are in.
 */
size_t encode_word(char *to, size_t room, const char *from, size_t len, size_t *used);
/* Decode a word in place. A "%" without two hex digits stays as it is. */
void decode_word(char *word);

/* ---- link.c: the port to the host */

enum link_use {
	LINK_ANSWER, /* has to go out */
	LINK_OUTPUT, /* waits for room: log records, output of programs */
	LINK_BEAT,   /* goes out only if nothing else waits */
};

/* Find and open the port called @name, or -1; waits up to @wait_ms for it to appear. */
int port_open(const char *name, int wait_ms);
/* The same for the port to the host. */
bool link_open(int wait_ms);
int link_fd(void);
/* Whether the host has the other end open; notices both changes. */
bool link_connected(void);
bool link_room(enum link_use use);
bool link_pending(void);
/* Queue one line; the caller has asked link_room(). */
void link_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Write what the port takes now. */
void link_flush(void);
/* Read what is there and call @line for each whole line, without its LF. */
void link_read(void (*line)(char *line));

/* ---- kmsg.c: the kernel's log */

void kmsg_open(void);
int kmsg_fd(void);
/* Send records until none is left (true) or the link has no room (false). */
bool kmsg_pump(void);

/* ---- jobs.c: everything that runs in a child */

enum job_kind {
	JOB_INSMOD,  /* arguments: path, parameters */
	JOB_RMMOD,   /* name */
	JOB_EXEC,    /* program and arguments */
	JOB_START,   /* the same, and its pid is answered at once */
	JOB_READ,    /* path */
	JOB_HOSTKEY, /* dropbearkey; its output is not sent */
};

/* Start a job; what goes wrong is answered to the host right here. */
void job_start(enum job_kind kind, unsigned long id, char **argv);
void job_stop(unsigned long id, unsigned long job_id, unsigned long grace_ms);
/* Take every dead child in; most are jobs. */
void jobs_reap(void);
/* Send output, and the ends of jobs; @log_sent: all that the log held at the reap is queued. */
void jobs_pump(bool log_sent);
/* Kill what was told to stop and does not; returns ms until the next one is due, or -1. */
int jobs_overdue(void);
/* Add their pipes to a poll set; returns how many. */
struct pollfd;
size_t jobs_poll(struct pollfd *set, size_t room);
/*
 * What the OOM killer thinks of a child. The harness needs PID 1 and what serves it beside that. A
 * task that loads a module is taken when nobody else is left: the OOM killer must have somebody,
 * or the kernel panics.
 */
#define OOM_ORDINARY "0"
#define OOM_LAST "-999"
#define OOM_NEVER "-1000"
void oom_score(const char *score);
/*
 * In a child: an ordinary process again (signals, session), with @score. It is called @name until
 * it runs another program: by its name the host knows who was killed (harness/oom.py).
 */
void child_reset(const char *name, const char *score);

/* ---- sshd.c: network and SSH */

void sshd_start(unsigned long id, const char *key);
/* dropbearkey is done: @key is the public key it printed, NULL if it failed. */
void sshd_ready(unsigned long id, const char *key);
int sshd_fd(void);
void sshd_accept(void);
/* This program is a user's shell as well, to dropbear: whether @name says that it is run as such. */
bool session_called(const char *name);
int session_main(char **argv);

/* ---- put.c: files from the host */

/* The next @len bytes from the host become the file @path; then @id is answered. */
void put_begin(unsigned long id, const char *path, mode_t mode, size_t len);
/* Take what belongs to the file of the first @len bytes at @from; returns how many did. */
size_t put_take(const char *from, size_t len);
size_t put_left(void);
/* The host is gone in the middle of a file. */
void put_drop(void);

/* ---- sampler.c: figures of memory, from a process of their own */

/* Start that process; it is this program again, run as "init sampler". */
void sampler_start(void);
int sampler_main(void);

/* ---- shell.c: interactive shell on the console */

void shell_start(void);
/* Returns whether @pid was the shell; starts a new one then. */
bool shell_reaped(pid_t pid);

/* ---- verbs.c: what the host asks for */

void verb_line(char *line);
void send_ready(const char *head);
void answer(unsigned long id, int error);
extern long spin_us; /* wall time of the calibration loop */

/* ---- time.c */

uint64_t now_ms(void); /* since the guest was started */
long measure_spin(void);
/* Set the wall clock; returns an errno. */
int set_clock(uint64_t usec);

/* ---- files.c */

void mount_all(void);
/* Write @value into @path; returns an errno, 0 for none. */
int write_file(const char *path, const char *value, size_t len);
/* Read @path into @to as a NUL-ended string; returns its length, -1 on error. */
ssize_t read_file(const char *path, char *to, size_t room);
/* Give the kernel's random generator @seed, in hex, and credit it; returns an errno. */
int seed_random(const char *seed);
/* Send a line to the console, whoever may read it. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
