/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata operations on a file system: files are created, renamed, linked, given attributes,
 * unlinked and synced, in a tree of directories, in an order that the seed decides.
 *
 * There are as many names as make inodes and their pages outgrow the memory available, so that
 * the kernel must shrink its caches and write back to go on. With a ramp their number grows.
 *
 * What the file system refuses for want of space or memory is tolerated; any other error ends the
 * load, and the file system's own check decides what it was.
 */
#ifndef LOADS_METADATA_H
#define LOADS_METADATA_H

/**
 * metadata_main() - be such a load until SIGTERM
 * @argc: of main()
 * @argv: of main()
 *
 * Return: exit code.
 */
int metadata_main(int argc, char **argv);

#endif
