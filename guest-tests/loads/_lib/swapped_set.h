/* SPDX-License-Identifier: GPL-2.0-only */
/* A load of one worker that keeps more anonymous memory in use than there is RAM, with swap. */
#ifndef LOADS_SWAPPED_SET_H
#define LOADS_SWAPPED_SET_H

/**
 * swapped_set_main() - be such a load until SIGTERM
 * @argc: of main()
 * @argv: of main()
 * @begin: called before there is a worker: it calls working_set_begin(), and makes swap
 *
 * Return: exit code.
 */
int swapped_set_main(int argc, char **argv, void (*begin)(void));

#endif
