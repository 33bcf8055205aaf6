/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtio-serial port to the host, in lines. */
#ifndef INIT_LINK_H
#define INIT_LINK_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_BYTES 8192 /* longest line of the protocol, with its LF */

/**
 * enum link_use - what a line is for, and so how much room it must leave
 * @LINK_ANSWER: has to go out
 * @LINK_OUTPUT: waits for room: log records, output of programs
 * @LINK_HEARTBEAT: goes out only if nothing else waits
 */
enum link_use {
	LINK_ANSWER,
	LINK_OUTPUT,
	LINK_HEARTBEAT,
};

/**
 * struct link_callbacks - what the link tells its user
 * @line: the host sent a line; without its LF
 * @up: the host has opened its end
 * @down: the host has closed its end, and all that was queued is dropped
 */
struct link_callbacks {
	void (*line)(char *line);
	void (*up)(void);
	void (*down)(void);
};

/**
 * port_open() - find and open a virtio-serial port
 * @name: its name
 * @wait_ms: how long to wait for it to appear
 *
 * Return: a file descriptor, or -1.
 */
int port_open(const char *name, int wait_ms);

/**
 * link_open() - open the port to the host
 * @wait_ms: how long to wait for it to appear
 * @calls: called from link_connected() and link_read()
 *
 * Return: whether there is one.
 */
bool link_open(int wait_ms, const struct link_callbacks *calls);

/**
 * link_fd() - file descriptor of the port, for poll()
 *
 * Return: -1 without a port.
 */
int link_fd(void);

/**
 * link_connected() - whether the host has its end open; notices both changes
 *
 * Return: whether it has.
 */
bool link_connected(void);

/**
 * link_room() - whether a line may be queued
 * @use: what the line is for
 *
 * Return: whether it may.
 */
bool link_room(enum link_use use);

/**
 * link_pending() - whether lines wait to be written
 *
 * Return: whether some do.
 */
bool link_pending(void);

/**
 * link_line() - queue one line
 * @format: as of printf(), without an LF
 *
 * For a caller that has asked link_room(): a line without room is dropped.
 */
void link_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * link_flush() - write what the port takes now
 */
void link_flush(void);

/**
 * link_read() - read what is there, and call back for each whole line
 */
void link_read(void);

/**
 * link_expect() - take the bytes after the current line as they are, not as lines
 * @count: how many
 * @take: called with @len of them, and how many are @left after these
 */
void link_expect(size_t count, void (*take)(const char *from, size_t len, size_t left));

#endif
