/* SPDX-License-Identifier: GPL-2.0-only */
/* File systems, and whole files at a time. */
#ifndef INIT_FILES_H
#define INIT_FILES_H

#include <sys/types.h>

/**
 * mount_all() - mount the file systems that every guest has
 *
 * One that the kernel lacks is left out.
 */
void mount_all(void);

/**
 * write_file() - write into an existing file, in one write
 * @path: the file
 * @value: what to write
 * @len: bytes of it
 *
 * Return: 0 or an errno.
 */
int write_file(const char *path, const char *value, size_t len);

/**
 * read_file() - read a file as a string
 * @path: the file
 * @to: the string, NUL-ended; what does not fit is left out
 * @room: bytes at @to, the NUL included
 *
 * Return: length of the string, -1 if the file cannot be opened.
 */
ssize_t read_file(const char *path, char *to, size_t room);

/**
 * seed_random() - credit entropy to the kernel's random generator
 * @seed: up to 64 bytes in hex
 *
 * Return: 0 or an errno.
 */
int seed_random(const char *seed);

/**
 * console_say() - write a line to the console
 * @format: as of printf()
 */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
