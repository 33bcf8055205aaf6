/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For loads that are kernel modules: parameters, pages that are kept, and a thread. When the kernel
 * is about to kill for memory some pages are given back instead, and left alone for a while: a load
 * starves nobody to death.
 *
 * The parameters of the module are seed, ramp_ms and after_ms, which the harness gives to every
 * load, and held and given, which count.
 */
#ifndef HARNESS_BALLOON_H
#define HARNESS_BALLOON_H

#include <linux/mm.h>
#include <linux/sched.h>

/** balloon_seed - of what is random, where something is */
extern uint balloon_seed;

/** balloon_ramp_ms - until all of the load is there */
extern uint balloon_ramp_ms;

/** balloon_after_ms - before the load begins */
extern uint balloon_after_ms;

/** balloon_held - pages that are kept now */
extern ulong balloon_held;

/**
 * balloon_open() - begin; from module_init, before the first balloon_keep()
 * @portion: pages to give back at a time when the kernel is about to kill
 *
 * Return: 0 or -errno
 */
int balloon_open(unsigned long portion);

/**
 * balloon_close() - end the thread and give all pages back
 */
void balloon_close(void);

/**
 * balloon_start() - create a thread; if that fails, balloon_close() is done
 * @work: what it runs, until kthread_should_stop()
 * @data: given to @work
 * @name: of the thread
 *
 * Return: the thread, for wake_up_process(), or an ERR_PTR()
 */
struct task_struct *balloon_start(int (*work)(void *), void *data, const char *name);

/**
 * balloon_keep() - keep a page
 * @page: the page, allocated by the caller
 */
void balloon_keep(struct page *page);

/**
 * balloon_is_left_alone() - is this no time to take pages?
 *
 * Return: true if some were given back just now
 */
bool balloon_is_left_alone(void);

#endif
