/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Send the vmalloc calls of a tracked task to a chosen place of the vmalloc address space.
 *
 * The kernel never frees the page tables of vmalloc space, and takes the lowest hole that fits: a
 * second call of the same size finds its tables already there and allocates none, so a test of
 * how they are allocated would be blind. A kprobe on the entry of alloc_vmap_area() changes the
 * range to search to that of struct tracked_task; everything else is the kernel's own doing.
 * (Filling the space below with reserved areas would do it too, but not with KASAN_VMALLOC, which
 * would have to back them with shadow memory.)
 *
 * Where fresh space is: a call gets a region of its own, as large as one table of the last level
 * but one covers, so that tables of the last two levels are new. When the space has been gone
 * through once (it is small with 39-bit addresses), the next round takes a later place in each
 * region, where only the tables of the last level are new.
 */
#ifndef HARNESS_VMALLOC_PLACE_H
#define HARNESS_VMALLOC_PLACE_H

#include <linux/types.h>

/**
 * vmalloc_place_open() - put the probe on alloc_vmap_area()
 *
 * Return: 0 or -errno
 */
int vmalloc_place_open(void);

/**
 * vmalloc_place_close() - remove the probe
 */
void vmalloc_place_close(void);

/**
 * vmalloc_place_rewind() - begin with the first region and the first crossing
 */
void vmalloc_place_rewind(void);

/**
 * vmalloc_place_region() - find out where the next call goes
 *
 * Return: an address in the region under way
 */
unsigned long vmalloc_place_region(void);

/**
 * vmalloc_place_next_region() - go to the next region, as this one has tables now
 */
void vmalloc_place_next_region(void);

/**
 * vmalloc_place_is_first_round() - is each region gone to for the first time?
 *
 * Return: true if so: its table of the last level but one is new as well
 */
bool vmalloc_place_is_first_round(void);

/**
 * vmalloc_place_is_used_up() - is all of the address space used?
 *
 * Return: true if there is no further round through the regions
 */
bool vmalloc_place_is_used_up(void);

/**
 * vmalloc_place_window() - find address space outside of all regions
 *
 * Return: its lowest address, between what the kernel takes first and the first region
 */
unsigned long vmalloc_place_window(void);

/**
 * vmalloc_place_can_cross() - has vmalloc space several entries of the top-level table?
 *
 * Return: true if so. With addresses of 52 bits, as arm64 has them from 6.9 on where the CPU can,
 * all of it lies below one.
 */
bool vmalloc_place_can_cross(void);

/** VMALLOC_PLACE_UNCROSSABLE - why a case skips where vmalloc_place_can_cross() is false */
#define VMALLOC_PLACE_UNCROSSABLE "all of vmalloc space lies below one entry of the top-level table"

/**
 * vmalloc_place_crossing() - find the boundary between two entries of the top-level table
 *
 * Return: the address at which the second of them begins, 0 if none is left
 */
unsigned long vmalloc_place_crossing(void);

/**
 * vmalloc_place_next_crossing() - go to the next boundary, as this one has tables now
 */
void vmalloc_place_next_crossing(void);

#endif
