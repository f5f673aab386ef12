/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a disk may hold after a loss of power. A program that is linked with disk.c has its calls of
 * open, write, fsync, syncfs, rename, unlink, mkdir and rmdir noted while they are made below one
 * directory; from the notes every state is made that a file system may come back with, as a
 * directory that the real readers can read:
 *
 * - the calls up to any one of them were made, none behind it;
 * - what was made in a directory (a name that was made, replaced or removed) and not synchronised
 *   since is there or not, each by itself, in any order;
 * - what was written to a file and not synchronised since is there, not there, half there, or there
 *   as zeros.
 *
 * That is weaker than ext4, xfs and btrfs are, which keep the order of names. fsync(2) and
 * syncfs(2) are noted and not carried out: a test of durability costs no time of the disk.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Below this directory, which must be there, calls are noted; what is in it now is on disk. */
void disk_begin(const char *top);

/* No more notes. Returns how many there are. */
size_t disk_end(void);

/* One such state; it is in the directory @top that was given to disk_states(). @made: all calls
 * were made. Returns whether it is as it should be. */
typedef bool (*DiskCheck)(bool made, void *userdata);

typedef struct DiskCount {
        size_t n_states; /* that differ */
        size_t n_seen;   /* with those that are equal to another */
        size_t n_wrong;
        size_t n_chosen; /* places where there were too many and some were taken */
} DiskCount;

/* Puts each state in the place of what is below @top and calls @check; prints what is wrong. */
DiskCount disk_states(const char *top, DiskCheck check, void *userdata);

/* Puts back what was there at disk_begin(). */
void disk_restore(const char *top);

/* The call with this number, from 1, fails with @error, and a write after half of its bytes; 0:
 * none. Counts the calls that change something below the directory of disk_begin(). */
void disk_fail(unsigned number, int error);

/* Whether it was reached. */
bool disk_failed(void);
