/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A directory in memory for the parts that read and write files themselves; one for each process,
 * gone with it.
 */

#include <stddef.h>

/* Its path. Made when it is first asked for. */
const char *scratch_directory(void);

/* Writes DIRECTORY/NAME, and the directory above it if NAME has one. */
void scratch_write(const char *name, const void *bytes, size_t n);

/* The bytes of DIRECTORY/NAME; NULL: there is no such file. Caller frees. */
char *scratch_read(const char *name, size_t *ret_n);

/* Removes everything in it. */
void scratch_clear(void);

/*
 * What a file is given to hold, with words that no fixed input can know put in: @BOOT@, @PID@ and
 * @START@ and @UID@ of this process, @MACHINE@. Caller frees.
 */
char *scratch_fill_in(const char *bytes, size_t n, size_t *ret_n);
