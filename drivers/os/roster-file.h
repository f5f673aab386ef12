/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads the roster from disk, and refuses what somebody else could have written.
 */

#include <stddef.h>

#include "model/base/diag.h"

/* The whole file, at most 4 MiB; links are followed. Returns 0 with *ret_bytes (caller frees; a NUL
 * follows that is not counted); ROSTER_INVALID with a finding (missing, unreadable, no regular
 * file, too large, owned by somebody else, writable for others); or a negative errno. */
_must_check_ int roster_file_read(
                const char *path, Diags *diags, char **ret_bytes, size_t *ret_size);
