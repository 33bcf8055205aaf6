/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures of memory, from a process of their own. */
#ifndef INIT_SAMPLER_H
#define INIT_SAMPLER_H

/**
 * sampler_start() - start that process: this program again, run as "init sampler"
 */
void sampler_start(void);

/**
 * sampler_main() - what the process does
 *
 * Return: exit code; only if it has no port.
 */
int sampler_main(void);

#endif
