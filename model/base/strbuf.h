/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A growing string. Errors stick: after one failed allocation every further call is a no-op, and
 * strbuf_finish() reports it, so that callers check once.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "model/base/cleanup.h"

typedef struct StrBuf {
        char *data; /* NUL-terminated once anything was added; NULL before */
        size_t length;
        size_t room;
        bool failed;
} StrBuf;

#define STRBUF_NULL ((StrBuf){ 0 })

/* Empties it; its room is used again. An error stays. */
void strbuf_reset(StrBuf *b);

void strbuf_done(StrBuf *b);
#define _cleanup_strbuf_ _cleanup_(strbuf_done)

void strbuf_add(StrBuf *b, const char *s);
void strbuf_add_bytes(StrBuf *b, const void *p, size_t n);
void strbuf_add_char(StrBuf *b, char c);
void strbuf_addf(StrBuf *b, const char *format, ...) _printf_(2, 3);
void strbuf_addv(StrBuf *b, const char *format, va_list ap) _printf_(2, 0);

/* Adds @n copies of @c. */
void strbuf_fill(StrBuf *b, char c, size_t n);

/* The text so far, "" when empty; borrowed. */
const char *strbuf_text(const StrBuf *b);

/* Hands the string over (never NULL on success). Returns 0 or -ENOMEM; the buffer is empty
 * after. */
_must_check_ int strbuf_finish(StrBuf *b, char **ret);
