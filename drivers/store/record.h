/* SPDX-License-Identifier: MIT */
#pragma once

/* What all files of a fleet's state have in common: a JSON object with `"version": 1` (decision
 * 0001). */

#include <stdbool.h>

#include "model/json.h"
#include "model/spec.h"

/* Reads DIR/FILE of at most @max bytes. -EBADMSG: it is no such object of this version; else what
 * file_read_own() says. */
_must_check_ int record_read(const char *dir, const char *file, size_t max, Json **ret);

/* The same of a file below an open directory. */
_must_check_ int record_read_at(int dir_fd, const char *file, size_t max, Json **ret);

/* Does such an error say something of this moment (no memory, no descriptor left), and nothing of
 * the file? It must then not be taken for a file that is not there, or garbled. */
bool record_error_passes(int r);

/* The fingerprint at @key of @j. -EBADMSG: none is there, or not one of the right length. */
_must_check_ int record_get_fingerprint(const Json *j, const char *key, char ret[FINGERPRINT_SIZE]);
