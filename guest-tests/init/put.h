/* SPDX-License-Identifier: GPL-2.0-only */
/* Files from the host. */
#ifndef INIT_PUT_H
#define INIT_PUT_H

#include <sys/types.h>

/**
 * put_begin() - make a file of the next bytes from the host
 * @id: of the request; answered when the file is there, or what went wrong
 * @path: the file; one that is there is replaced
 * @mode: its mode
 * @len: how many bytes
 */
void put_begin(unsigned long id, const char *path, mode_t mode, size_t len);

/**
 * put_drop() - the host is gone, be it in the middle of a file
 */
void put_drop(void);

#endif
