/* SPDX-License-Identifier: GPL-2.0-only */
/* Swap for a load, on a compressed RAM disk (zram) of its own or on a disk; gone with the load. */
#ifndef LOADS_SWAP_H
#define LOADS_SWAP_H

#include <stdbool.h>

/**
 * swap_on_zram() - swap to a new zram disk, or fail
 * @bytes: of pages, whatever they compress to
 */
void swap_on_zram(unsigned long bytes);

/**
 * swap_on_disk() - swap to all of the load's disk, or fail
 */
void swap_on_disk(void);

/**
 * swap_disk_bytes() - size of the load's disk
 *
 * Return: bytes.
 */
unsigned long swap_disk_bytes(void);

/**
 * swap_off() - leave the guest as it was
 *
 * It is no failure if there is no memory for what others have there.
 */
void swap_off(void);

/**
 * swap_moves() - in the parent: whether pages went to swap since the last call
 *
 * Return: whether some did.
 */
bool swap_moves(void);

#endif
