/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * NULL-terminated lists of strings, as argv and environ are. The list owns its strings.
 */

#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"

/* Frees list and strings; takes NULL; returns NULL. */
char **strv_free(char **l);
DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)

/* Number of strings; 0 for NULL. */
size_t strv_length(char *const *l);

/* The first string equal to @s, or NULL. Borrowed from the list. */
const char *strv_find(char *const *l, const char *s);

/* Appends a copy of @s. Returns 0 or -ENOMEM (the list is then unchanged). */
_must_check_ int strv_push(char ***l, const char *s);

/* Appends @s itself and owns it from then on, also on failure. */
_must_check_ int strv_take(char ***l, char *s);

/* Appends a formatted string. */
_must_check_ int strv_pushf(char ***l, const char *format, ...) _printf_(2, 3);

/* Appends copies of all of @other. */
_must_check_ int strv_extend(char ***l, char *const *other);

/* Copies a list; NULL becomes an empty list. */
_must_check_ int strv_copy(char *const *l, char ***ret);

/* Byte order; not locale dependent. */
void strv_sort(char **l);

bool strv_equal(char *const *a, char *const *b);

/* "K=V" lists: sets or replaces K. */
_must_check_ int strv_env_set(char ***env, const char *name, const char *value);

/* "K=V" lists: the value of K, borrowed, or NULL. */
const char *strv_env_get(char *const *env, const char *name);
