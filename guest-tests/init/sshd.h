/* SPDX-License-Identifier: GPL-2.0-only */
/* Network and SSH. */
#ifndef INIT_SSHD_H
#define INIT_SSHD_H

#include <stdbool.h>

/**
 * sshd_start() - bring up the network, make a host key, serve SSH on port 22
 * @id: of the request; answered when SSH is served, or what went wrong
 * @key: public key that may log in
 */
void sshd_start(unsigned long id, const char *key);

/**
 * sshd_fd() - file descriptor of the listening socket, for poll()
 *
 * Return: -1 while SSH is not served.
 */
int sshd_fd(void);

/**
 * sshd_accept() - give a connection to a server of its own, if there is one
 */
void sshd_accept(void);

/**
 * session_called() - whether this program is run as a user's shell, by dropbear
 * @name: what it is called
 *
 * Return: whether it is.
 */
bool session_called(const char *name);

/**
 * session_main() - become an ordinary process, then /bin/sh
 * @argv: of main()
 *
 * Return: exit code; only if there is no shell.
 */
int session_main(char **argv);

#endif
