/* SPDX-License-Identifier: GPL-2.0-only */
/* What a child of PID 1 is to the kernel before it does its work. */
#ifndef INIT_CHILD_H
#define INIT_CHILD_H

/*
 * Values of oom_score_adj. The harness needs PID 1 and what serves it beside that. A task that
 * loads a module is taken when nobody else is left: the OOM killer must have somebody, or the
 * kernel panics.
 */
#define OOM_ORDINARY "0"
#define OOM_LAST "-999"
#define OOM_NEVER "-1000"

/**
 * oom_score() - set the caller's oom_score_adj
 * @score: one of the values above
 */
void oom_score(const char *score);

/**
 * child_reset() - undo in a child what PID 1 has of its own: signals, session, OOM score
 * @name: what the child is called until it runs another program; by its name the host knows who
 *	  was killed (harness/oom.py)
 * @score: its oom_score_adj
 */
void child_reset(const char *name, const char *score);

#endif
