/* SPDX-License-Identifier: GPL-2.0-only */
/* Time, and how fast this guest is. */
#ifndef INIT_CLOCK_H
#define INIT_CLOCK_H

#include <stdint.h>

/**
 * now_ms() - time since the guest was started
 *
 * Return: milliseconds of CLOCK_BOOTTIME.
 */
uint64_t now_ms(void);

/**
 * set_clock() - set the wall clock
 * @usec: microseconds since 1970
 *
 * Return: 0 or an errno.
 */
int set_clock(uint64_t usec);

/**
 * measure_spin() - time the calibration loop
 *
 * Return: microseconds of wall time.
 */
long measure_spin(void);

#endif
