/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's log, sent to the host record by record. */
#ifndef INIT_KMSG_H
#define INIT_KMSG_H

#include <stdbool.h>

/**
 * kmsg_open() - open the log at its end
 */
void kmsg_open(void);

/**
 * kmsg_fd() - file descriptor of the log, for poll()
 *
 * Return: -1 without a log.
 */
int kmsg_fd(void);

/**
 * kmsg_pump() - send records
 *
 * Return: true if none is left, false if the link has no room for more.
 */
bool kmsg_pump(void);

#endif
