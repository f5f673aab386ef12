/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whole files: read with a limit, replaced so that a reader sees the old one or the new one and a
 * crash leaves no half of either (temporary file, sync, rename, sync of the directory). Everything
 * is made for the owner alone.
 */

#include <stddef.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

/* Makes or replaces @path with mode @mode, whatever the umask. Its directory must be there. Only a
 * plain file is replaced: -ELOOP: it is a symbolic link; -EISDIR; -ENOTSUP: a device, FIFO or
 * socket. */
_must_check_ int file_replace(const char *path, const void *bytes, size_t n, mode_t mode);

/* The same for many files of one directory, at the price of one synchronisation: @names and @texts
 * are lists of one length. On failure some of the files may already be replaced. Where names lead
 * into directories below it, the renames there are the caller's to synchronise. */
_must_check_ int file_replace_many(
                const char *dir, char *const *names, char *const *texts, mode_t mode);

/* The same two for what counts only until the machine stops: nothing waits for the disk. A reader
 * sees the old one or the new one; after a crash of the machine it may see neither whole. */
_must_check_ int file_replace_volatile(const char *path, const void *bytes, size_t n, mode_t mode);
_must_check_ int file_replace_many_volatile(
                const char *dir, char *const *names, char *const *texts, mode_t mode);

/* Removes what writers that were killed left in a directory: temporary files of the functions above
 * for names that begin with @prefix ("": all). Where others keep files too, say whose. */
void dir_sweep(const char *path, const char *prefix);

/* The same for one file with a '/' in its path, and for those whose names begin like it.
 * -ENOMEM. */
_must_check_ int file_sweep(const char *path);

/* Writes all of it, in as many calls as that takes. */
_must_check_ int file_write_fd(int fd, const void *bytes, size_t n);

/* Reads a regular file. The bytes are followed by a NUL that does not count; caller frees. Errors:
 * -EFBIG (more than @max bytes), -EINVAL (not a regular file), what open(2) and read(2) say. */
_must_check_ int file_read_limited(const char *path, size_t max, char **ret, size_t *ret_size);

/* The same from a descriptor, from its position on, without asking what kind of file it is. */
_must_check_ int file_read_fd(int fd, size_t max, char **ret, size_t *ret_size);

/* The same from a path, if nobody else can have written the file: -EPERM if it is another user's
 * (not root's), or others may write it. */
_must_check_ int file_read_own(const char *path, size_t max, char **ret, size_t *ret_size);

/* The same below an open directory, or with AT_FDCWD. */
_must_check_ int file_read_own_at(
                int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size);

/* Removes a file; one that is not there is success. */
_must_check_ int file_remove(const char *path);

/* Moves what stands in the way, of whatever kind, to PATH.1, PATH.2 ...: the first that is free,
 * which is returned in @ret (caller frees). -EEXIST: none is. */
_must_check_ int file_set_aside(const char *path, char **ret);

/* The same, for a file that must not come back after a loss of power: its removal is on disk when
 * this returns. */
_must_check_ int file_remove_durably(const char *path);

/* Makes a directory and what is missing above it, each with mode 0700 and on disk when this
 * returns. One that is there is success. */
_must_check_ int dir_make(const char *path);

/* May nobody else put anything into this directory? -EPERM if it is another user's, or others may
 * write to it. One that is not there is success. */
_must_check_ int dir_check_own(const char *path);
