// SPDX-License-Identifier: GPL-2.0-only
/* An interactive shell on the serial console, for people: "harness.shell" on the command line. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "child.h"
#include "files.h"
#include "shell.h"

static pid_t shell;
static char console[80] = "/dev/console";

/*
 * /dev/console cannot become a controlling terminal, and without one there is no job control and
 * no Ctrl-C; the tty behind it can.
 */
static void find_console(void)
{
	char names[64], *name;

	if (read_file("/sys/class/tty/console/active", names, sizeof(names)) <= 0)
		return;
	names[strcspn(names, "\n")] = '\0';
	name = strrchr(names, ' ');
	snprintf(console, sizeof(console), "/dev/%s", name ? name + 1 : names);
}

static void run_shell(void)
{
	char *argv[] = { "-sh", NULL };
	int tty;

	child_reset("init", OOM_ORDINARY);
	tty = open(console, O_RDWR);
	if (tty < 0)
		_exit(1);
	ioctl(tty, TIOCSCTTY, 1);
	dup2(tty, STDIN_FILENO);
	dup2(tty, STDOUT_FILENO);
	dup2(tty, STDERR_FILENO);
	if (tty > STDERR_FILENO)
		close(tty);
	tcflush(STDIN_FILENO, TCIFLUSH);
	if (chdir("/root") < 0)
		_exit(1);
	execv("/bin/sh", argv);
	_exit(127);
}

void shell_start(void)
{
	find_console();
	shell = fork();
	if (shell == 0)
		run_shell();
}

bool shell_reaped(pid_t pid)
{
	if (!shell || pid != shell)
		return false;
	shell_start();
	return true;
}
