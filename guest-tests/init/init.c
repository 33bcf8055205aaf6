// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest: boot the little there is, then serve host, log, children and SSH from one poll
 * loop, with static buffers and no threads.
 *
 * guest-tests/README.md describes the protocol. Nothing here allocates memory once the loop runs,
 * apart from what fork() and write() make the kernel allocate: the guest is short of memory on
 * purpose.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "files.h"
#include "jobs.h"
#include "kmsg.h"
#include "link.h"
#include "put.h"
#include "reply.h"
#include "sampler.h"
#include "shell.h"
#include "sshd.h"
#include "verbs.h"

#define HEARTBEAT_MS 1000
#define PORT_WAIT_MS 10000
#define RETRY_MS 250 /* how often to look for the host where no signal tells */
#define MAX_POLL 24
#define READY_MARK "<7>init: ready\n"

static int signals = -1;

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	/* The kernel gives us a console only if the initramfs has the device node. */
	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Whether the kernel's command line has @word. */
static bool cmdline_has(const char *word)
{
	static char line[4096];
	char *item, *rest;

	if (read_file("/proc/cmdline", line, sizeof(line)) < 0)
		return false;
	for (item = strtok_r(line, " \n", &rest); item; item = strtok_r(NULL, " \n", &rest)) {
		if (!strcmp(item, word))
			return true;
	}
	return false;
}

static void open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Only the first host is told unasked: another one says hello. */
static void host_up(void)
{
	static bool told;

	if (!told)
		send_ready("ready proto=1");
	told = true;
}

static void boot(void)
{
	static const struct link_callbacks host = {
		.line = verb_line,
		.up = host_up,
		.down = put_drop,
	};

	mount_all();
	open_console();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "vt100", 1);
	sethostname("guest", 5);
	oom_score(OOM_NEVER);
	open_signals();
	kmsg_open();
	spin_us = measure_spin();
	/* All of us stays in memory: under pressure a page of code that was dropped is a stall. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		console_say("init: cannot lock memory\n");
	if (cmdline_has("harness.shell"))
		shell_start();
	if (!link_open(PORT_WAIT_MS, &host))
		console_say("init: no virtio-serial port harness.agent; serving nobody\n");
	sampler_start();
	/* For who looks where a boot's time goes; at debug level, so it costs no console output. */
	write_file("/dev/kmsg", READY_MARK, sizeof(READY_MARK) - 1);
}

/* Returns ms until the next heartbeat. */
static int heartbeat(void)
{
	static unsigned long number;
	static uint64_t next;
	uint64_t now = now_ms();
	struct sysinfo memory;

	if (now < next)
		return next - now;
	next = now + HEARTBEAT_MS;
	if (link_connected() && link_room(LINK_HEARTBEAT)) {
		sysinfo(&memory);
		link_line("beat %lu uptime_ms=%llu mem_free_kb=%llu", number++,
			  (unsigned long long)now,
			  (unsigned long long)memory.freeram * memory.mem_unit / 1024);
	}
	return HEARTBEAT_MS;
}

static int sooner(int a, int b)
{
	if (a < 0)
		return b;
	return b >= 0 && b < a ? b : a;
}

/* Sleep until there is something to do. */
static void wait_for_work(int timeout)
{
	struct pollfd set[MAX_POLL];
	size_t count = 0;

	set[count++] = (struct pollfd){ .fd = signals, .events = POLLIN };
	if (sshd_fd() >= 0)
		set[count++] = (struct pollfd){ .fd = sshd_fd(), .events = POLLIN };
	/*
	 * Without a host its port is at POLLHUP all the time and nothing can be sent: look again
	 * on SIGIO or after a while.
	 */
	if (link_connected()) {
		short events = link_pending() ? POLLOUT : 0;

		if (link_room(LINK_ANSWER))
			events |= POLLIN;
		set[count++] = (struct pollfd){ .fd = link_fd(), .events = events };
		if (link_room(LINK_OUTPUT)) {
			if (kmsg_fd() >= 0)
				set[count++] = (struct pollfd){ .fd = kmsg_fd(), .events = POLLIN };
			count += jobs_poll(set + count, MAX_POLL - count);
		}
	} else {
		timeout = sooner(timeout, RETRY_MS);
	}
	poll(set, count, timeout);
}

static void take_signals(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	/* Signals of one number merge, so what they say is looked up, not counted. */
	while (read(signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!shell_reaped(pid))
			job_reaped(pid, status);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "sampler"))
		return sampler_main();
	if (session_called(argv[0]))
		return session_main(argv);
	if (getpid() != 1) {
		console_say("init: I am not PID 1\n");
		return 1;
	}
	boot();
	for (;;) {
		int timeout = sooner(heartbeat(), jobs_overdue());

		link_flush();
		wait_for_work(timeout);
		take_signals();
		if (sshd_fd() >= 0)
			sshd_accept();
		if (!link_connected())
			continue;
		link_read();
		/* The log first: then the end of a job comes after all that its run logged. */
		jobs_pump(kmsg_pump());
		link_flush();
	}
}
