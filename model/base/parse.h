/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strict conversions of text to numbers, durations and sizes, and back. The whole text must match;
 * nothing depends on the locale. Errors: -EINVAL (not of that form), -ERANGE (too large).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

/* Decimal digits only. */
_must_check_ int parse_uint64(const char *s, uint64_t *ret);

/* As parse_uint64(), with bounds (inclusive). */
_must_check_ int parse_uint_range(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* "0", or a number with one of ms, s, m, h, d. Result in microseconds. */
_must_check_ int parse_duration(const char *s, uint64_t *ret_usec);

/* A number of bytes with an optional K, M, G or T (powers of 1024). */
_must_check_ int parse_size(const char *s, uint64_t *ret_bytes);

/* "150%" -> 150. */
_must_check_ int parse_percent(const char *s, uint64_t *ret_percent);

/* Whether @word is one of the words of a text that blanks, newlines or commas separate. */
bool text_has_word(const char *text, const char *word);

/* Longest form first: "3 d 4 h", "12 min", "5.2 s", "31 ms"; for people, not for parsing.
 * Room of @n bytes; 32 are always enough. Returns @buffer. */
const char *format_duration(char *buffer, size_t n, uint64_t usec);

/* "12.3M" for people. Returns @buffer. */
const char *format_size(char *buffer, size_t n, uint64_t bytes);
