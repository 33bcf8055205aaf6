/* SPDX-License-Identifier: GPL-2.0-only */
/* An interactive shell on the serial console. */
#ifndef INIT_SHELL_H
#define INIT_SHELL_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * shell_start() - start the shell
 */
void shell_start(void);

/**
 * shell_reaped() - start the shell again if it is what died
 * @pid: a dead child
 *
 * Return: whether it was the shell.
 */
bool shell_reaped(pid_t pid);

#endif
