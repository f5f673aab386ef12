/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The small languages inside the roster's strings: paths, placeholders in arguments, host patterns.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"
#include "model/base/strbuf.h"

/* "~/x" and "/x//y/./z" to an absolute path without empty parts, "." or a slash at the end.
 * -EINVAL: not absolute, or with ".."; only "~/" stands for the home, "~name" does not. Caller
 * frees. */
_must_check_ int word_expand_path(const char *text, const char *home, char **ret);

/* Whether @path is @dir or below it; both as word_expand_path() makes them. */
bool word_path_is_within(const char *path, const char *dir);

/* What stands for {name}, {workdir} and {model} in an argument. */
typedef struct Placeholders {
        const char *name;
        const char *workdir;
        const char *model; /* NULL: has none */
} Placeholders;

typedef enum PlaceholderState {
        PLACEHOLDERS_FINE,
        PLACEHOLDER_UNKNOWN,
        PLACEHOLDER_WITHOUT_MODEL,
} PlaceholderState;

/* Appends @text with all placeholders replaced; "{{" becomes "{", and a brace that begins no word
 * is text. On a problem, *ret_start and *ret_length tell where in @text, and what was appended is
 * of no use. */
PlaceholderState word_expand_placeholders(const char *text,
                const Placeholders *values,
                StrBuf *b,
                size_t *ret_start,
                size_t *ret_length);

/* Shell-style match of a host name, or of its first label; case does not count. */
bool word_match_host(const char *pattern, const char *hostname);
