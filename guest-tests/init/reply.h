/* SPDX-License-Identifier: GPL-2.0-only */
/* Answers to the host that more than one part of PID 1 gives. */
#ifndef INIT_REPLY_H
#define INIT_REPLY_H

extern long spin_us; /* wall time of the calibration loop, for send_ready() */

/**
 * answer() - end a request: "ok", or "err" with what went wrong
 * @id: of the request
 * @error: 0 or an errno
 */
void answer(unsigned long id, int error);

/**
 * refuse() - end a request with "err", and say which part of it went wrong
 * @id: of the request
 * @what: the part
 * @error: an errno
 */
void refuse(unsigned long id, const char *what, int error);

/**
 * send_ready() - tell the host what this guest is
 * @head: first words of the line
 */
void send_ready(const char *head);

#endif
