/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the loads have alike: a parent that keeps workers at it, says "ready", and ends them.
 *
 *	NAME [intensity=N] [seed=N] [ramp_ms=N] [after_ms=N] [dir=DIR] [disk=DEVICE]
 *
 * Workers make the pressure. They are the OOM killer's first choice, and replaced when killed; one
 * that exits has failed, and the load with it. The parent is locked in memory and is never chosen.
 * It says "ready" once the kernel's own figures show the pressure. With a ramp or a delay it does
 * so at once, and the pressure comes on while the test runs.
 */
#ifndef LOADS_LOAD_H
#define LOADS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_PAGE 4096UL
#define LOAD_WORKERS 16 /* at most */

/**
 * struct load_kind - one kind of load
 * @intensity: what the intensity counts, for who gives a wrong one
 * @least: smallest intensity that makes sense
 * @most: largest intensity that makes sense
 * @workers: how many; 0: as many as the intensity says
 * @in_dir: workers run in the folder dir=, which must be given
 * @begin: called in the parent before there are workers; or NULL
 * @work: what a worker does, by its number; never returns
 * @on: whether the pressure is there; called in the parent, 20 times a second
 * @end: called in the parent after the workers, to leave the guest as it was; or NULL
 */
struct load_kind {
	const char *intensity;
	unsigned long least, most;
	unsigned int workers;
	bool in_dir;
	void (*begin)(void);
	void (*work)(unsigned int worker);
	bool (*on)(void);
	void (*end)(void);
};

/* Of one that has one worker, and counts in parts of the memory available: see load_percent(). */
#define LOAD_OF_MEMORY							\
	.intensity = "percent of the available memory", .least = 10, .workers = 1

/**
 * struct load_args - what the plan asked for
 * @intensity: how much pressure, as the kind of load counts it
 * @seed: of load_random()
 * @ramp_ms: how long the pressure grows
 * @after_ms: how long until it begins
 * @dir: where the load's file system is mounted; NULL: none
 * @disk: the load's disk; NULL: none
 */
struct load_args {
	unsigned long intensity, seed, ramp_ms, after_ms;
	const char *dir, *disk;
};

extern struct load_args load;

/**
 * load_main() - be a load until SIGTERM
 * @kind: which
 * @argc: of main()
 * @argv: of main()
 *
 * Return: exit code.
 */
int load_main(const struct load_kind *kind, int argc, char **argv);

/**
 * load_fail() - end the process, and say why
 * @what: what failed, with errno set
 */
_Noreturn void load_fail(const char *what);

/**
 * load_needs() - end the load if the plan did not give an argument that it needs
 * @value: of the argument; NULL: it was not given
 * @name: of the argument
 */
void load_needs(const char *value, const char *name);

/**
 * load_write() - write into an existing file, or fail
 * @path: the file
 * @value: a string
 */
void load_write(const char *path, const char *value);

/**
 * load_read() - read a small file of the kernel's, or fail
 * @path: the file
 *
 * Return: its text, which holds until the next call.
 */
const char *load_read(const char *path);

/**
 * load_number() - find a number in a text
 * @text: lines
 * @key: start of a line
 *
 * Return: the number after the first @key, 0 without it.
 */
unsigned long load_number(const char *text, const char *key);

/**
 * load_vmstat() - read a counter of /proc/vmstat
 * @name: of the counter
 *
 * Return: its value, 0 without it.
 */
unsigned long load_vmstat(const char *name);

/**
 * load_available() - how much memory programs could have without swapping
 *
 * Return: bytes.
 */
unsigned long load_available(void);

/**
 * load_percent() - as many percent of the available memory as the intensity says
 *
 * Return: bytes, in whole pages.
 */
unsigned long load_percent(void);

/**
 * load_shared() - allocate memory that the parent and all its workers see, or fail
 * @size: bytes
 *
 * Return: zeroed memory.
 */
void *load_shared(size_t size);

/**
 * load_sleep_ms() - sleep
 * @ms: milliseconds
 */
void load_sleep_ms(unsigned long ms);

/**
 * load_throttle() - in a worker: sleep as long as it took since the last call
 *
 * A worker that never lets go would, on a CPU of its own, take every page as soon as it is freed:
 * nobody else would get on, GFP_NOIO least of all.
 */
void load_throttle(void);

/**
 * load_due() - how much the ramp allows a worker by now
 * @whole: how much it may use in the end
 *
 * Return: 1 at least; @whole without a ramp.
 */
unsigned long load_due(unsigned long whole);

/**
 * load_await_due() - in a worker: sleep until the ramp allows for so much
 * @part: how much
 * @whole: how much it may use in the end
 */
void load_await_due(unsigned long part, unsigned long whole);

/**
 * load_random() - next number of a sequence that the seed decides
 *
 * Return: 64 pseudo-random bits.
 */
uint64_t load_random(void);

/**
 * load_pick() - pick a number by load_random()
 * @limit: above 0
 *
 * Return: 0 to @limit - 1.
 */
unsigned long load_pick(unsigned long limit);

/**
 * load_die_with_parent() - in a child: be killed when its parent dies, even if that was before
 * @parent: pid of the parent
 */
void load_die_with_parent(pid_t parent);

#endif
