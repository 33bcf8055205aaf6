// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <harness/memory.h>

unsigned long memory_zero_until(const void *addr, unsigned long size)
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
static long last_word(unsigned long at, unsigned long size)
{
	return (long)(min(PAGE_SIZE, size - at) / sizeof(unsigned long)) - 1;
}

unsigned long memory_own_until(void *addr, unsigned long size)
{
	unsigned long at, *word;
	long last;

	for (at = 0; at < size; at += PAGE_SIZE) {
		word = addr + at;
		last = last_word(at, size);
		if (last >= 0)
			word[0] = word[last] = at ^ (unsigned long)addr;
	}
	cond_resched();
	for (at = 0; at < size; at += PAGE_SIZE) {
		word = addr + at;
		last = last_word(at, size);
		if (last >= 0 && (word[0] != (at ^ (unsigned long)addr) || word[last] != word[0]))
			return at;
	}
	return size;
}

unsigned long memory_mapped_until(const void *addr, unsigned long size, struct page *const *pages)
{
	unsigned long at;

	for (at = 0; at < size; at += PAGE_SIZE) {
		struct page *page = vmalloc_to_page(addr + at);

		if (!page || page != pages[at / PAGE_SIZE])
			return at;
	}
	return size;
}

void memory_soil(unsigned long size)
{
	void *addr = vmalloc(size);

	if (!addr)
		return;
	memset(addr, 0xa5, size);
	vfree(addr);
}
