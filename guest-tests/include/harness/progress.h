/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test has done so far, for the host to see while it runs: the guest's sampler reads it ten
 * times a second from /sys/module/<module>/parameters/progress.
 *
 * With it the host tells slow from stuck: a test whose count of things done rises is slow, however
 * long it prints nothing; one whose count of vain tries alone rises is in a livelock. The times of
 * what was done become the report's histogram of allocation latency.
 */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

#include <linux/ktime.h>

/**
 * progress_done() - count one more thing as done: an allocation that came back, as a rule
 */
void progress_done(void);

/**
 * progress_done_since() - count one more thing as done, and the time that it took
 * @start: when it began, from ktime_get()
 */
void progress_done_since(ktime_t start);

/**
 * progress_retry() - count a try that came to nothing, and will be made again
 */
void progress_retry(void);

#endif
