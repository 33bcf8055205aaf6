/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Steer a vmalloc call to a chosen place of the vmalloc address space.
 *
 * The kernel never frees the page tables of vmalloc space, and takes the lowest hole that fits: a
 * second call of the same size finds its tables already there and allocates none, so a test of
 * how they are allocated would be blind. A kprobe on the entry of alloc_vmap_area() changes the
 * range to search; everything else is the kernel's own doing.
 * (Filling the space below with reserved areas would do it too, but not with KASAN_VMALLOC, which
 * would have to back them with shadow memory.)
 */
#ifndef HARNESS_STEER_H
#define HARNESS_STEER_H

#include <linux/vmalloc.h>

#include <harness/subject.h>
#include <harness/symbol.h>

/*
 * alloc_vmap_area(size, align, start, end, ...). It is static, and compilers drop arguments of such
 * functions: that the range is the one that all of vmalloc asks for shows that it is where it is
 * looked for. If not, vcall_open() finds that calls do not go where they are steered.
 */
static int steer_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct subject *subject = subject_now();
	unsigned long *start = probe_argument(regs, 2), *end = probe_argument(regs, 3);

	if (!subject || !subject->start || *start != VMALLOC_START || *end != VMALLOC_END)
		return 0;
	*start = subject->start;
	/* The array of page pointers may have an area of its own, which finds room elsewhere. */
	if (subject->end)
		*end = subject->end;
	return 0;
}

static struct kprobe steer_probe;

static __maybe_unused int steer_open(void)
{
	/* What gcc calls it if it has dropped arguments that are the same in each call, or unused. */
	static const char *const names[] = {
		"alloc_vmap_area", "alloc_vmap_area.constprop.0", "alloc_vmap_area.isra.0",
	};
	int error = probe_function(&steer_probe, names, ARRAY_SIZE(names), steer_entry);

	if (error)
		pr_err("harness: no probe on alloc_vmap_area: error %d\n", error);
	return error;
}

static __maybe_unused void steer_close(void)
{
	probe_remove(&steer_probe);
}

#endif
