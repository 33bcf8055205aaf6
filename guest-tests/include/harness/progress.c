// SPDX-License-Identifier: GPL-2.0-only
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/module.h>

#include <harness/progress.h>

#define BUCKETS 24 /* below 1 us, below 2, 4 ...; the last holds all from 4 s on */

static atomic64_t done_count, retry_count;
static atomic64_t latency[BUCKETS];
static bool timed;

void progress_done(void)
{
	atomic64_inc(&done_count);
}

void progress_done_since(ktime_t start)
{
	u64 us = ktime_to_us(ktime_sub(ktime_get(), start));
	unsigned int bucket = us ? ilog2(us) + 1 : 0;

	atomic64_inc(&latency[min(bucket, BUCKETS - 1U)]);
	WRITE_ONCE(timed, true);
	progress_done();
}

void progress_retry(void)
{
	atomic64_inc(&retry_count);
}

/* "done=N retries=N latency_us=N,N,..." in one line; nothing here allocates. */
static int progress_get(char *buffer, const struct kernel_param *unused)
{
	int len = scnprintf(buffer, PAGE_SIZE, "done=%lld retries=%lld",
			    (long long)atomic64_read(&done_count),
			    (long long)atomic64_read(&retry_count));
	unsigned int i;

	for (i = 0; READ_ONCE(timed) && i < BUCKETS; i++)
		len += scnprintf(buffer + len, PAGE_SIZE - len, "%s%lld", i ? "," : " latency_us=",
				 (long long)atomic64_read(&latency[i]));
	return len + scnprintf(buffer + len, PAGE_SIZE - len, "\n");
}

static const struct kernel_param_ops progress_ops = { .get = progress_get };
module_param_cb(progress, &progress_ops, NULL, 0400);
