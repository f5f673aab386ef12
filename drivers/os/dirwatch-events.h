/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What inotify wrote into a buffer, and which files it concerns. Pure: reading and setting watches
 * is dirwatch.c's. Nothing about the bytes is taken for granted, neither lengths nor ends of names.
 */

#include <stdbool.h>
#include <stddef.h>

typedef struct Watched {
        int id;      /* inotify's */
        size_t file; /* the caller's number */
        char *name;  /* entry that counts; NULL: all of it */
} Watched;

/*
 * Sets @touched[i] where an event may concern file number i; @n is how many files there are. False:
 * the bytes are not whole events, and whatever else they say, everything is touched. So it is after
 * an overflow of the kernel's queue, which is no error.
 */
bool dirwatch_events(const void *bytes,
                size_t size,
                const Watched *watched,
                size_t n_watched,
                bool *touched,
                size_t n);
