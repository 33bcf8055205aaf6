/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watch what one task allocates: every request to the page allocator with the flags that really
 * hold for it, the pages and the kmalloc objects that nobody has freed yet.
 *
 * One watch at a time. What the task allocates while it reclaims (PF_MEMALLOC) is not part of the
 * work it was asked for, and is left out; so are interrupts that happen to hit it, and what the
 * kernel's checkers take for themselves (ignored_allocs.h).
 */
#ifndef HARNESS_ALLOC_WATCH_H
#define HARNESS_ALLOC_WATCH_H

/**
 * struct alloc_watch - what the task has asked for
 * @pages: requests to the page allocator
 * @pages_fs: of these: could have entered filesystem reclaim
 * @pages_io: of these: could have started I/O
 * @tables: page-table pages
 * @tables_fs: of these: could have entered filesystem reclaim
 * @tables_io: of these: could have started I/O
 * @insisted: requests in bulk or for large blocks with __GFP_NOFAIL all the same
 * @large: requests for large blocks
 * @kmallocs: kmalloc objects allocated
 * @missed: kmalloc objects that found no room in the list
 */
struct alloc_watch {
	unsigned int pages;
	unsigned int pages_fs;
	unsigned int pages_io;
	unsigned int tables;
	unsigned int tables_fs;
	unsigned int tables_io;
	unsigned int insisted;
	unsigned int large;
	unsigned int kmallocs;
	unsigned int missed;
};

/** alloc_watch_progress - changes while the task gets on, if only by reclaiming */
extern unsigned int alloc_watch_progress;

/**
 * alloc_watch_open() - put probes on the allocators
 *
 * Return: 0 or -errno; no probe is left then
 */
int alloc_watch_open(void);

/**
 * alloc_watch_close() - remove the probes
 */
void alloc_watch_close(void);

/**
 * alloc_watch_begin() - watch current, from nothing
 */
void alloc_watch_begin(void);

/**
 * alloc_watch_suspend() - look away, and keep what was seen
 */
void alloc_watch_suspend(void);

/**
 * alloc_watch_resume() - go on watching current
 */
void alloc_watch_resume(void);

/**
 * alloc_watch_seen() - take a look at the watch
 *
 * Return: what was seen since alloc_watch_begin()
 */
struct alloc_watch alloc_watch_seen(void);

/**
 * alloc_watch_objects_left() - count kmalloc objects that were allocated under the watch
 *
 * Return: how many of them nobody has freed since
 */
unsigned int alloc_watch_objects_left(void);

/**
 * alloc_watch_pages_left() - count pages that vmalloc took under the watch, to hand them out
 *
 * Return: how many of them nobody has freed since
 */
unsigned int alloc_watch_pages_left(void);

#endif
