// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "files.h"

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
