/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs for the OOM killer to kill when memory runs out: each holds anonymous memory, and is
 * taken first. One more, the trigger, faults in a page each tick as any program would, and is what
 * calls the OOM killer: a request with GFP_NOFS does not, however long it waits. There is no swap
 * unless a load brings it, so that nothing but an OOM kill gets the memory back.
 *
 * A victim is a shell inside a write() to a file of debugfs. What it writes is the number of the
 * round that it was started in: who comes after that is turned away. All of them are there before
 * memory gets short, so that nobody has to be forked then:
 *
 *	oom_victims_start(8);		they are there, and wait
 *	oom_victims_fill(pages);	each takes so many pages
 *	oom_victims_dismiss();		those that are left end
 */
#ifndef HARNESS_OOM_VICTIMS_H
#define HARNESS_OOM_VICTIMS_H

#include <linux/fs.h>
#include <linux/jiffies.h>

/** OOM_VICTIMS - how many there can be */
#define OOM_VICTIMS 12

/** OOM_VICTIMS_PATIENCE - for programs to start, fill and end, in ticks */
#define OOM_VICTIMS_PATIENCE (30 * HZ)

/**
 * oom_victims_open() - make the suite's folder of debugfs
 * @name: of the suite, and of the folder
 *
 * Return: 0 or -errno
 */
int oom_victims_open(const char *name);

/**
 * oom_victims_close() - remove the folder, and the files in it
 */
void oom_victims_close(void);

/**
 * oom_victims_start() - start victims and the trigger
 * @count: how many victims
 *
 * Return: 0 when all of them wait, or -errno
 */
int oom_victims_start(unsigned int count);

/**
 * oom_victims_fill() - let each victim take memory
 * @pages: how many pages each
 *
 * Return: 0 when they have them, or have died of it, else -ETIMEDOUT
 */
int oom_victims_fill(unsigned long pages);

/**
 * oom_victims_dismiss() - end them all, and wait until their memory is free
 */
void oom_victims_dismiss(void);

/**
 * oom_victims_gone() - count victims that are lost
 *
 * Return: how many the OOM killer has chosen, or have ended; the trigger does not count. What one
 * held is free soon after it was chosen, and before it has ended.
 */
unsigned int oom_victims_gone(void);

/**
 * oom_victims_left() - count victims that can still be killed
 *
 * Return: how many were started and are not gone
 */
unsigned int oom_victims_left(void);

/**
 * oom_victims_pause_trigger() - let the trigger stand still, or go on
 * @pause: which of the two
 */
void oom_victims_pause_trigger(bool pause);

/**
 * oom_victims_touch() - take memory in the current program
 * @pages: of new anonymous memory
 *
 * Return: how many pages it got before it was killed or the victims were dismissed
 */
unsigned long oom_victims_touch(unsigned long pages);

/**
 * oom_victims_add_file() - add a file to the suite's folder
 * @name: of the file
 * @data: inode->i_private of the file
 * @operations: of the file
 *
 * Return: the file, for debugfs_remove()
 */
struct dentry *oom_victims_add_file(const char *name, void *data,
				    const struct file_operations *operations);

/**
 * oom_victims_shell() - start a shell that writes a number to a file of the suite's folder
 * @file: its name
 * @number: what is written
 *
 * Return: 0 or -errno; the shell may not have come to that yet
 */
int oom_victims_shell(const char *file, unsigned int number);

#endif
