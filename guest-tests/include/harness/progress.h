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

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/module.h>

#define PROGRESS_BUCKETS 24 /* below 1 us, below 2, 4 ...; the last holds all from 4 s on */

static atomic64_t progress_done_count, progress_retry_count;
static atomic64_t progress_latency[PROGRESS_BUCKETS];
static bool progress_timed;

/* One more thing is done: an allocation that came back, as a rule. */
static __maybe_unused void progress_done(void)
{
	atomic64_inc(&progress_done_count);
}

/* The same, and it took since @start, a ktime_get() of before. */
static __maybe_unused void progress_done_since(ktime_t start)
{
	u64 us = ktime_to_us(ktime_sub(ktime_get(), start));
	unsigned int bucket = us ? ilog2(us) + 1 : 0;

	atomic64_inc(&progress_latency[min(bucket, PROGRESS_BUCKETS - 1U)]);
	WRITE_ONCE(progress_timed, true);
	progress_done();
}

/* A try that came to nothing, and will be made again. */
static __maybe_unused void progress_retry(void)
{
	atomic64_inc(&progress_retry_count);
}

/* "done=N retries=N latency_us=N,N,..." in one line; nothing here allocates. */
static int progress_get(char *buffer, const struct kernel_param *unused)
{
	int len = scnprintf(buffer, PAGE_SIZE, "done=%lld retries=%lld",
			    (long long)atomic64_read(&progress_done_count),
			    (long long)atomic64_read(&progress_retry_count));
	unsigned int i;

	for (i = 0; READ_ONCE(progress_timed) && i < PROGRESS_BUCKETS; i++)
		len += scnprintf(buffer + len, PAGE_SIZE - len, "%s%lld", i ? "," : " latency_us=",
				 (long long)atomic64_read(&progress_latency[i]));
	return len + scnprintf(buffer + len, PAGE_SIZE - len, "\n");
}

static const struct kernel_param_ops progress_ops = { .get = progress_get };
module_param_cb(progress, &progress_ops, NULL, 0400);

#endif
