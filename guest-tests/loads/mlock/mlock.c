// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load: memory that is locked, so that reclaim can have none of it and has to get by with the
 * rest. Pieces of it are unlocked, given back and locked again, in an order that the seed decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "load.h"

#define PIECE (64 * LOAD_PAGE)
#define HELD 15 / 16 /* of the pieces, the others are free */

static unsigned long pieces;
static volatile unsigned long *held;

static void begin(void)
{
	pieces = load_percent() / PIECE + 1;
	held = load_shared(sizeof(*held));
}

static void give(char *piece)
{
	if (munlock(piece, PIECE) < 0 || madvise(piece, PIECE, MADV_DONTNEED) < 0)
		load_fail("munlock");
	(*held)--;
}

/* False if there is no memory for it now. */
static bool take(char *piece)
{
	if (mlock(piece, PIECE) < 0) {
		if (errno != ENOMEM && errno != EAGAIN)
			load_fail("mlock");
		return false;
	}
	(*held)++;
	return true;
}

static void work(unsigned int worker)
{
	size_t size = pieces * PIECE;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool *locked = calloc(pieces, sizeof(*locked));
	unsigned long piece;

	(void)worker;
	if (memory == MAP_FAILED || !locked)
		load_fail("mmap");
	*held = 0;
	for (;; load_throttle()) {
		piece = load_pick(pieces);
		if (locked[piece]) {
			give(memory + piece * PIECE);
			locked[piece] = false;
		}
		while (*held < load_due(pieces) * HELD) {
			piece = load_pick(pieces);
			if (locked[piece])
				continue;
			locked[piece] = take(memory + piece * PIECE);
			if (!locked[piece])
				break;
		}
	}
}

static bool on(void)
{
	return *held >= pieces * HELD - 1;
}

int main(int argc, char **argv)
{
	static const struct load_kind mlock_kind = {
		LOAD_OF_MEMORY,
		.most = 95,
		.begin = begin,
		.work = work,
		.on = on,
	};

	return load_main(&mlock_kind, argc, argv);
}
