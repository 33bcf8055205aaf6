// SPDX-License-Identifier: GPL-2.0-only
/*
 * Network and SSH. PID 1 listens on port 22 itself and gives each connection to a dropbear of its
 * own (inetd mode): the port answers from the moment the host is told, and no daemon takes up
 * memory while nobody is connected.
 *
 * The OOM killer does not take dropbear, but whatever people run: dropbear knows this program as
 * the user's shell, which becomes an ordinary process before it becomes /bin/sh.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "encode.h"
#include "jobs.h"
#include "link.h"
#include "reply.h"
#include "sshd.h"

#define SERVER "/usr/sbin/dropbear"
#define KEYGEN "/usr/bin/dropbearkey"
#define SESSION "session" /* a link in /bin; /etc/passwd and /etc/shells name it */
#define HOST_KEY "/run/dropbear.key"
#define SERVER_LOG "/run/dropbear.log"
#define ADDRESS "10.0.2.15" /* what QEMU's user network expects its guest to have */
#define NETMASK "255.255.255.0"

static int listener = -1;

static int set_address(int fd, struct ifreq *request, unsigned long what, const char *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&request->ifr_addr;

	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	return ioctl(fd, what, request);
}

static int bring_up(const char *device, const char *address, const char *netmask)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };
	int error = 0;

	if (fd < 0)
		return errno;
	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	if (set_address(fd, &request, SIOCSIFADDR, address) < 0 ||
	    set_address(fd, &request, SIOCSIFNETMASK, netmask) < 0 ||
	    ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		error = errno;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (!error && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		error = errno;
	close(fd);
	return error;
}

static int listen_ssh(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(22) };
	int one = 1;

	if (listener >= 0)
		return 0;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return errno;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(listener, (struct sockaddr *)&here, sizeof(here)) && !listen(listener, 8))
		return 0;
	one = errno;
	close(listener);
	listener = -1;
	return one;
}

static int allow_key(const char *key)
{
	int fd, error = 0;

	/* dropbear refuses keys that others could have written. */
	mkdir("/root", 0700);
	mkdir("/root/.ssh", 0700);
	chmod("/root", 0700);
	fd = open("/root/.ssh/authorized_keys", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	if (write(fd, key, strlen(key)) < 0 || write(fd, "\n", 1) < 0)
		error = errno;
	close(fd);
	return error;
}

/* dropbearkey prints the public key on a line of its own, after others. */
static void keygen_ended(const struct job_end *end)
{
	const char *key = end->status ? NULL : strstr(end->output, "ssh-ed25519 ");
	char word[1024];
	int error;

	if (!key) {
		refuse(end->id, KEYGEN, EIO);
		return;
	}
	error = listen_ssh();
	if (error) {
		refuse(end->id, "port 22", error);
		return;
	}
	encode_word(word, sizeof(word), key, strcspn(key, "\n"), NULL);
	link_line("ok %lu hostkey=%s", end->id, word);
}

void sshd_start(unsigned long id, const char *key)
{
	static char *keygen[] = { KEYGEN, "-t", "ed25519", "-f", HOST_KEY, NULL };
	int error;

	bring_up("lo", "127.0.0.1", "255.0.0.0");
	error = bring_up("eth0", ADDRESS, NETMASK);
	if (error) {
		refuse(id, "eth0", error);
		return;
	}
	error = allow_key(key);
	if (error) {
		refuse(id, "authorized_keys", error);
		return;
	}
	if (access(SERVER, X_OK) < 0 || access(KEYGEN, X_OK) < 0) {
		refuse(id, SERVER, errno);
		return;
	}
	unlink(HOST_KEY);
	job_capture(id, keygen, keygen_ended);
}

int sshd_fd(void)
{
	return listener;
}

/*
 * -i inetd mode, -s no passwords, -j -k no forwarding. There is no -E beside -i: what dropbear says
 * of a session goes to syslog, that is nowhere; its log file is for failures to start.
 */
static void run_server(int connection)
{
	char *argv[] = { SERVER, "-i", "-s", "-j", "-k", "-r", HOST_KEY, NULL };
	int log = open(SERVER_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	child_reset("init", OOM_NEVER);
	dup2(connection, STDIN_FILENO);
	dup2(connection, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

void sshd_accept(void)
{
	int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (connection < 0)
		return;
	if (fork() == 0)
		run_server(connection);
	close(connection);
}

bool session_called(const char *name)
{
	/* With '-' in front, it is to be a login shell. */
	return !strcmp(name + (*name == '-'), SESSION);
}

int session_main(char **argv)
{
	static char login[] = "-sh", plain[] = "sh";

	oom_score(OOM_ORDINARY);
	setenv("SHELL", "/bin/sh", 1);
	argv[0] = *argv[0] == '-' ? login : plain;
	execv("/bin/sh", argv);
	return 127;
}
