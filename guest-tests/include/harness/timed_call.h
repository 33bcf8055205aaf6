/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Run a function in a kernel thread and wait for it for as long as it makes progress.
 *
 * A call that must not fail may, in a broken kernel, never return. The case then ends with a
 * failure and the rest of the suite with another; waiting for KUnit's own limit of five minutes
 * would cost the whole run of the guest. The thread is lost, and the module stays loaded for it.
 *
 * Under memory pressure a call may well take seconds, with an allocation now and then: that is
 * slow. One that allocates nothing any more is stuck, and so is one that sleeps and tries again
 * far more often than it was failed. (One that tries again without sleeping leaves this thread no
 * CPU to say so, where there is one CPU only. The soft lockup detector ends that; a test with
 * such calls sets the knob kernel.watchdog_thresh low.)
 */
#ifndef HARNESS_TIMED_CALL_H
#define HARNESS_TIMED_CALL_H

#include <linux/types.h>

#define TIMED_CALL_POLLS_PER_SECOND 50

/**
 * struct timed_call - a function, and until when it is waited for
 * @function: what to run
 * @data: given to each of the functions here; stays valid as long as @function runs
 * @progress: changes whenever @function makes progress; stays valid as long as it runs
 * @quiet_seconds: how long @progress may stay as it is; 0 means 10
 * @seconds: how long @function may take in all; 0 means 60
 * @is_stuck: or NULL; true: @function will never return
 * @meanwhile: or NULL; called again and again while @function runs
 */
struct timed_call {
	void (*function)(void *data);
	void *data;
	const unsigned int *progress;
	unsigned int quiet_seconds, seconds;
	bool (*is_stuck)(void *data);
	void (*meanwhile)(void *data);
};

/**
 * timed_call_open() - start the kernel thread
 *
 * Return: 0 or -errno
 */
int timed_call_open(void);

/**
 * timed_call_close() - end the kernel thread, unless a call in it is stuck
 */
void timed_call_close(void);

/**
 * timed_call_run() - run a function in the kernel thread
 * @call: the function; a copy is taken
 *
 * Return: 0, or -ETIMEDOUT if a function is still running, from this call or an earlier one.
 * Everything that it touches must then stay as it is.
 */
int timed_call_run(const struct timed_call *call);

/**
 * timed_call_is_stuck() - has a call timed out?
 *
 * Return: true if so: its thread is still in it, and no other call can be made
 */
bool timed_call_is_stuck(void);

#endif
