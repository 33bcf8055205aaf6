/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows of requests where memory has run out, and the program that makes them. */
#ifndef OOM_CALLERS_H
#define OOM_CALLERS_H

#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <harness/compat.h>

#define TRIES 4 /* for a row to be made while memory is short */

/* ---- kinds of requests */

#define WAYS 3

struct way {
	const char *name;
	void *(*alloc)(size_t size, gfp_t gfp);
	size_t size;
	bool promised; /* to whoever is not to die, without further flags */
};

extern const struct way ways[WAYS];

#define MASKS 6

struct mask {
	const char *name;
	gfp_t gfp;
};

extern const struct mask masks[MASKS];

struct row {
	unsigned int requests, nulls;
	u64 longest; /* nanoseconds */
};

/* What was got is a list: each begins with the address of the one before. */
struct got {
	struct got *next;
};

/* ---- the state of a case */

#define VICTIM_CALLS 12 /* requests of each kind that an OOM victim makes */

/* What an OOM victim gets with __GFP_NOFAIL, of each kind of request VICTIM_CALLS. */
struct insisting {
	const char *name;
	gfp_t gfp;
	struct row page, vmalloc;
	unsigned int waited; /* calls of vmalloc that had to sleep */
	void *addr[VICTIM_CALLS];
};

#define INSISTING 2

struct state {
	struct row rows[WAYS][MASKS];
	unsigned int moves;  /* changes whenever a request is over */
	unsigned int killed; /* OOM victims that are no longer counted among those there are */

	/* The row under way. */
	const struct way *way;
	const struct mask *mask;

	/* The OOM killer, called off. */
	struct kprobe oom_probe;
	bool oom_called_off;

	/* A program inside the kernel. */
	struct dentry *file;
	unsigned int number;  /* what the program writes; one of an earlier case is turned away */
	void (*work)(struct state *state);
	unsigned long pages;  /* that it holds itself; not 0: the OOM killer's first choice */
	spinlock_t lock;      /* task */
	struct task_struct *task;
	bool go, leave;
	wait_queue_head_t changed;
	struct completion there, done;

	/* The same, as an OOM victim. */
	bool victim_chosen;
	struct insisting insisting[INSISTING];
	struct insisting *insisting_now;
	bool insisting_on_area;
	unsigned int seen_moves, quiet_polls;
};

/* ---- requests.c */

/* What zones keep from all but a few; half of it from OOM victims, too. */
unsigned long reserve_pages(void);

/*
 * What an OOM victim holds: a share of RAM, but no more than brings the zones far above what they
 * keep, or filling victims takes minutes where RAM is large. A row of requests wants half of it.
 */
unsigned long victim_pages(void);

/* Nobody left to be killed is a panic. */
bool few_left(void);

/*
 * Memory runs out. Of what is free now, and no more: whoever needs a page meanwhile, PID 1 for one,
 * has an OOM victim killed, and what that one held must not be taken as well, or all of them are
 * killed before the first request is made.
 */
void run_out(void);

/* A request that began at @begun is over. */
void request_over(struct state *state, ktime_t begun);

/* The row of requests under way. */
struct row *row_now(struct state *state);

/* Make requests until they have got half of what an OOM victim holds, or NULL several times. */
void make_row(struct state *state);

/* Print the figures of all rows of @way. */
void report_rows(struct kunit *test, const struct way *way);

/* ---- program.c */

/*
 * While memory has to stay short nobody is killed. A victim that asks for memory does not get the
 * next one killed as long as its own has not been reaped: out_of_memory() says that all is under
 * way. Let that last, for whoever asks: what PID 1 needs, to read the report of one kill, is another
 * kill.
 */
void call_off(struct state *state, bool off);

/* Start a program that does @work whenever it is let go. Ends with program_end(), in any case. */
int program_start(struct state *state, void (*work)(struct state *state), unsigned long pages);

/* In the worker: let it work, and wait for it. */
void program_let_go(struct state *state);

/* Send it away. If it is not there yet, it is too late. */
void program_end(struct state *state);

/* The probe that call_off() needs, and the file that the program writes to: 0 or -errno. */
int program_open(struct state *state);

void program_close(struct state *state);

#endif
