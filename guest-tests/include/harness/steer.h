/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Steer a vmalloc call to a chosen place of the vmalloc address space.
 *
 * The kernel never frees the page tables of vmalloc space, and takes the lowest hole that fits: a
 * second call of the same size finds its tables already there and allocates none, so a test of
 * how they are allocated would be blind. A kprobe on the entry of __vmalloc_node_range() changes
 * one argument, the lower end of the range to search; everything else is the kernel's own doing.
 * (Filling the space below with reserved areas would do it too, but not with KASAN_VMALLOC, which
 * would have to back them with shadow memory.)
 */
#ifndef HARNESS_STEER_H
#define HARNESS_STEER_H

#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <harness/symbol.h>

static struct task_struct *steer_task;
static unsigned long steer_start;

/* __vmalloc_node_range(size, align, start, ...): the third argument, where the ABI puts it. */
static unsigned long *steer_argument(struct pt_regs *regs)
{
#if defined(CONFIG_X86_64)
	return &regs->dx;
#elif defined(CONFIG_ARM64)
	return (unsigned long *)&regs->regs[2];
#else
#error "say here which register holds the third argument of a function"
#endif
}

static int steer_entry(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long *start = steer_argument(regs);

	if (current == READ_ONCE(steer_task) && *start == VMALLOC_START)
		*start = READ_ONCE(steer_start);
	return 0;
}

static struct kprobe steer_probe;

static __maybe_unused int steer_open(void)
{
	/* It got its suffix with allocation profiling, in 6.10. */
	static const char *const names[] = {
		"__vmalloc_node_range_noprof", "__vmalloc_node_range",
	};
	int error = probe_function(&steer_probe, names, ARRAY_SIZE(names), steer_entry);

	if (error)
		pr_err("harness: no probe on __vmalloc_node_range: error %d\n", error);
	return error;
}

static __maybe_unused void steer_close(void)
{
	probe_remove(&steer_probe);
}

/* Every vmalloc by current goes to @start or above, until steer_end(). */
static __maybe_unused void steer_begin(unsigned long start)
{
	WRITE_ONCE(steer_start, start);
	WRITE_ONCE(steer_task, current);
}

static __maybe_unused void steer_end(void)
{
	WRITE_ONCE(steer_task, NULL);
}

#endif
