/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Regular expressions with limits (PCRE2): a pattern from a file can neither run for long nor take
 * much memory. Text is UTF-8; \d, \w and \s are ASCII.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"

typedef enum PatternDialect {
        PATTERN_PERL, /* PCRE2's own: what the roster's patterns are */
        PATTERN_ECMA, /* as JSON Schema has it: \uXXXX, [] and [^], $ only at the very end */
} PatternDialect;

typedef struct Pattern Pattern;

Pattern *pattern_free(Pattern *p);
DEFINE_CLEANUP(Pattern *, pattern_free)
#define _cleanup_pattern_ _cleanup_(pattern_freep)

/* Room for what PCRE2 says of a faulty pattern. */
#define PATTERN_MESSAGE_SIZE 160

/* Returns 0; -EINVAL with the reason and its offset in bytes; -ENOMEM. @message may be NULL. */
_must_check_ int pattern_new(const char *text,
                size_t size,
                PatternDialect dialect,
                char message[PATTERN_MESSAGE_SIZE],
                size_t *ret_offset,
                Pattern **ret);

/* Searches: 1 found, 0 not found, -EOVERFLOW (a limit was reached), -EINVAL (no UTF-8), -ENOMEM. */
_must_check_ int pattern_search(const Pattern *p, const char *text, size_t size);

/* Of PCRE2, as it is linked at run time. */
const char *pattern_library_version(void);

/* The same, and where: the first match is [*ret_begin, *ret_end) in bytes. */
_must_check_ int
pattern_find(const Pattern *p, const char *text, size_t size, size_t *ret_begin, size_t *ret_end);
