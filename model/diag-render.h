/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Findings as text for people (the first line as compilers print it, which editors know), as JSON,
 * and as annotations of a code forge. Pure: the caller has the bytes of the file and prints the
 * result.
 */

#include "model/base/diag.h"
#include "model/base/strbuf.h"
#include "model/json.h"

/* 1-based; columns count characters. */
typedef struct Position {
        size_t line;
        size_t column;
} Position;

/* Of a byte offset; an offset behind the end is the end. */
Position position_of(const char *bytes, size_t size, size_t offset);

#define RENDER_MAX 50 /* findings in text; what is left out is counted */

/* All findings with source line, caret and help, and a last line with the counts. @bytes may be
 * NULL: then there are no excerpts. Control characters of the file and of the findings are shown
 * escaped. */
_must_check_ int diags_render_text(const Diags *d,
                const char *file,
                const char *bytes,
                size_t size,
                bool color,
                char **ret);

/* One line for each: ::error file=...,line=...,col=...::text */
_must_check_ int diags_render_github(
                const Diags *d, const char *file, const char *bytes, size_t size, char **ret);

/* Puts an array of findings (schema/README.md has its form). Values of the file are in it only
 * where a finding's own sentence names them; an environment's never are. */
void diags_put_json(
                JsonBuilder *b, const char *key, const Diags *d, const char *bytes, size_t size);
