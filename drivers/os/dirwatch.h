/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells that something happened to a file, however it was saved: written in place, replaced by a
 * rename, swapped as a link anywhere on its way, gone with its directory and back. It watches
 * directories (inotify), never trusts a file's own watch alone, and says only "look": what changed
 * is for the caller to find out.
 *
 * Every report renews the watches, because the path may lead elsewhere now. Where the kernel
 * refuses a watch it says so (dirwatch_degraded()): the caller then has to look by itself now and
 * then.
 */

#include <stdbool.h>

#include "model/base/cleanup.h"

typedef struct DirWatch DirWatch;

/* Watches nothing yet. Also without a single inotify instance left it succeeds, degraded.
 * -ENOMEM. */
_must_check_ int dirwatch_new(DirWatch **ret);
DirWatch *dirwatch_free(DirWatch *w);
DEFINE_CLEANUP(DirWatch *, dirwatch_free)

/* Adds a file by its absolute path; it need not be there, nor its directory. @content: also what is
 * written into it; else only that it comes or goes. -ENOMEM. */
_must_check_ int dirwatch_add(DirWatch *w, const char *path, bool content);

/* Readable when there is something to take in; -1: no inotify at all. Borrowed; may be another
 * descriptor after dirwatch_take() and dirwatch_renew(). */
int dirwatch_fd(const DirWatch *w);

/* After each of these two: nobody waits on another descriptor any more. Until then the one before
 * stays open, so that an event loop can be told to let go of it. */
void dirwatch_close_old(DirWatch *w);

/* Takes in what has come, without waiting. Sets @touched[i] where it may concern the file that was
 * added as number i; @n is how many were. -ENOMEM. */
_must_check_ int dirwatch_take(DirWatch *w, bool *touched, size_t n);

/* Sets all watches anew; also tries again what was refused. -ENOMEM. */
_must_check_ int dirwatch_renew(DirWatch *w);

/* A negative errno: some watch was refused because of it; 0: all is watched. */
int dirwatch_degraded(const DirWatch *w);

/* How many directories and files are watched. */
size_t dirwatch_count(const DirWatch *w);
