/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks of allocated memory: is it zero, writable throughout, each page of it in there once. */
#ifndef HARNESS_MEMORY_H
#define HARNESS_MEMORY_H

struct page;

/**
 * memory_zero_until() - look for a byte that is not zero
 * @addr: the memory
 * @size: its bytes
 *
 * Return: offset of the first such byte, @size if there is none
 */
unsigned long memory_zero_until(const void *addr, unsigned long size);

/**
 * memory_own_until() - look for a page that is in the memory twice, or that somebody else writes to
 * @addr: the memory
 * @size: its bytes
 *
 * A different value is written to both ends of every page; then all of them are read.
 *
 * Return: offset of the first page that is wrong, @size if there is none
 */
unsigned long memory_own_until(void *addr, unsigned long size);

/**
 * memory_mapped_until() - compare what vmalloc memory maps with what its area says
 * @addr: the memory
 * @size: its bytes
 * @pages: of its area
 *
 * Memory of a doubtful kernel is checked by this before it is touched: a hole is then a failed case
 * and no crash.
 *
 * Return: offset of the first page that differs, @size if there is none
 */
unsigned long memory_mapped_until(const void *addr, unsigned long size, struct page *const *pages);

/**
 * memory_soil() - fill free memory with a pattern, for the next caller to find
 * @size: bytes
 */
void memory_soil(unsigned long size);

#endif
