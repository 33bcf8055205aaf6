/* SPDX-License-Identifier: GPL-2.0-only */
/* Anonymous memory of which every page is touched in turn, over and over. */
#ifndef LOADS_WORKING_SET_H
#define LOADS_WORKING_SET_H

#include <stdbool.h>

/**
 * working_set_fill() - fill a page with what compresses to 30 %
 * @page: LOAD_PAGE bytes
 */
void working_set_fill(void *page);

/**
 * working_set_begin() - before working_set_work(): say how much it is to be
 * @bytes: whole pages
 */
void working_set_begin(unsigned long bytes);

/**
 * working_set_work() - a worker that keeps that much in use
 * @worker: its number
 */
_Noreturn void working_set_work(unsigned int worker);

/**
 * working_set_filled() - in the parent: whether a worker has touched all of it
 *
 * Return: whether one has.
 */
bool working_set_filled(void);

#endif
