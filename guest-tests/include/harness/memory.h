/* SPDX-License-Identifier: GPL-2.0-only */
/* Is memory what it should be: zero, writable throughout, no page of it in there twice. */
#ifndef HARNESS_MEMORY_H
#define HARNESS_MEMORY_H

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

/* Offset of the first byte that is not zero, @size if there is none. */
static __maybe_unused unsigned long memory_zero_until(const void *addr, unsigned long size)
{
	unsigned long at, chunk;

	for (at = 0; at < size; at += chunk) {
		const void *odd;

		chunk = min(size - at, 64 * PAGE_SIZE);
		odd = memchr_inv(addr + at, 0, chunk);
		if (odd)
			return odd - addr;
		cond_resched();
	}
	return size;
}

/* Index of the last whole word of the page at @at of memory of @size bytes; -1: it has none. */
static long memory_last_word(unsigned long at, unsigned long size)
{
	return (long)(min(PAGE_SIZE, size - at) / sizeof(unsigned long)) - 1;
}

/*
 * Write a different value to both ends of every page, then read all of them: a page that is in
 * there twice, or belongs to somebody who writes to it, gives itself away. Returns the offset of
 * the first page that is wrong, @size if there is none.
 */
static __maybe_unused unsigned long memory_own_until(void *addr, unsigned long size)
{
	unsigned long at, *word;
	long last;

	for (at = 0; at < size; at += PAGE_SIZE) {
		word = addr + at;
		last = memory_last_word(at, size);
		if (last >= 0)
			word[0] = word[last] = at ^ (unsigned long)addr;
	}
	cond_resched();
	for (at = 0; at < size; at += PAGE_SIZE) {
		word = addr + at;
		last = memory_last_word(at, size);
		if (last >= 0 && (word[0] != (at ^ (unsigned long)addr) || word[last] != word[0]))
			return at;
	}
	return size;
}

/*
 * Does each page of vmalloc memory map what its area says it does? Returns the offset of the first
 * that does not, @size if there is none. Look here before touching memory of a doubtful kernel:
 * a hole is then a failed case and no crash.
 */
static __maybe_unused unsigned long memory_mapped_until(const void *addr, unsigned long size,
							struct page *const *pages)
{
	unsigned long at;

	for (at = 0; at < size; at += PAGE_SIZE) {
		struct page *page = vmalloc_to_page(addr + at);

		if (!page || page != pages[at / PAGE_SIZE])
			return at;
	}
	return size;
}

/* Leave @size bytes of free memory full of a pattern, for the next caller to find. */
static __maybe_unused void memory_soil(unsigned long size)
{
	void *addr = vmalloc(size);

	if (!addr)
		return;
	memset(addr, 0xa5, size);
	vfree(addr);
}

#endif
