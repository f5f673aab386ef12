/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads the roster from disk, and refuses what somebody else could have written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/diag.h"

/* The whole file, at most 4 MiB; links are followed. Returns 0 with *ret_bytes (caller frees; a NUL
 * follows that is not counted); ROSTER_INVALID with a finding (missing, unreadable, no regular
 * file, too large, owned by somebody else, writable for others); or a negative errno. */
_must_check_ int roster_file_read(
                const char *path, Diags *diags, char **ret_bytes, size_t *ret_size);

/* The same, and whether what was read is whole: false while some process has the file open for
 * writing, or changed it while it was read. Where the kernel does not tell who has it open (a
 * network file system, another owner's file) only the latter is seen. */
_must_check_ int roster_file_read_settled(const char *path,
                Diags *diags,
                char **ret_bytes,
                size_t *ret_size,
                bool *ret_settled);
