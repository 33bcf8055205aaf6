/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tasks whose calls are being tested. What is done to a call (steer.h, inject.h) and seen of it
 * (pause.h) is kept by task, so that several may be tested at once.
 */
#ifndef HARNESS_SUBJECT_H
#define HARNESS_SUBJECT_H

#include <linux/hardirq.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <harness/compat.h>

#define SUBJECTS 8

/* Which allocations of a call to fail. They are counted from 1, in the order of the call. */
struct inject_plan {
	unsigned int first; /* 0: none */
	unsigned int count; /* how many in a row; 0 means 1 */
	u32 seed;	    /* not 0: bursts of 1 to 8 at random places instead, see inject.h */
	bool insist;	    /* fail slab requests only, but also those with __GFP_NOFAIL */
	unsigned int step;  /* with insist: fail every step-th only */
};

struct subject {
	struct task_struct *task;
	/* steer.h: where its vmalloc calls go. end 0: as high as the caller said. */
	unsigned long start, end;
	/* inject.h */
	struct inject_plan plan;
	u32 random;
	unsigned int burst;	/* failures left of a random burst */
	unsigned int requests;	/* that could be failed */
	unsigned int failed;	/* that were */
	unsigned int order;	/* of the request under way */
	gfp_t gfp;
	bool slab;
	/* aside.h */
	unsigned int aside;	/* not 0: a checker of the kernel's works for itself */
	/* pause.h */
	unsigned int sleeps;	/* how often it went to sleep of its own accord */
	unsigned long longest;	/* the longest time it asked for, in ticks */
	unsigned long shortest;	/* the shortest; 0: none */
	unsigned long wait;	/* the longest right after a page table was refused */
	unsigned int warned;	/* how often it told the log that it had no memory */
	bool owes;		/* a page table was refused, and it has not slept since */
	unsigned int unslept;	/* tried again without having slept */
	bool parked;		/* it never comes back: let it sleep for good */
};

static struct subject subjects[SUBJECTS];

/* The slot of current, NULL if it is not under test. */
static struct subject *subject_of_current(void)
{
	int i;

	for (i = 0; i < SUBJECTS; i++) {
		if (READ_ONCE(subjects[i].task) == current)
			return &subjects[i];
	}
	return NULL;
}

/* Whether a checker of the kernel's is allocating for itself, in the name of current. */
static __maybe_unused bool subject_aside(void)
{
	struct subject *subject = subject_of_current();

	return subject && subject->aside;
}

/* The same as subject_of_current(), but NULL as well if it is doing something else now. */
static __maybe_unused struct subject *subject_now(void)
{
	/* A breakpoint of x86, which a probe is, counts as NMI, and an NMI as one interrupt more. */
	unsigned long probe = in_nmi() ? HARDIRQ_OFFSET : 0;
	struct subject *subject;

	/*
	 * What it allocates while it reclaims or compacts is not part of the work it was asked
	 * for; nor is an interrupt that happens to hit it.
	 */
	if (current->flags & PF_MEMALLOC || hardirq_count() > probe || in_serving_softirq())
		return NULL;
	subject = subject_of_current();
	return subject && !subject->aside ? subject : NULL;
}

/* Make current the subject number @slot. Two tasks must not take the same. */
static __maybe_unused struct subject *subject_begin(unsigned int slot)
{
	struct subject *subject = &subjects[slot];

	WRITE_ONCE(subject->task, NULL);
	barrier();
	memset(subject, 0, sizeof(*subject));
	return subject;
}

static __maybe_unused void subject_go(struct subject *subject)
{
	barrier();
	WRITE_ONCE(subject->task, current);
}

static __maybe_unused void subject_end(struct subject *subject)
{
	WRITE_ONCE(subject->task, NULL);
	current->fail_nth = 0;
}

/*
 * Page tables are the only single pages that are asked for zeroed without __GFP_HIGHMEM here:
 * vmalloc adds that flag for its pages, and slab takes __GFP_ZERO away before it asks for a slab.
 */
static __maybe_unused bool is_table(unsigned int order, gfp_t gfp)
{
	return !order && (gfp & __GFP_ZERO) && !(gfp & __GFP_HIGHMEM);
}

#endif
