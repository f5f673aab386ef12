/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Findings for the user: everything wrong with a roster, collected in one run, each with its place,
 * a stable code and help. Rendering (text with excerpt and caret, JSON) is in model/diag-render.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/base/cleanup.h"

typedef enum Severity {
        SEVERITY_NOTE,
        SEVERITY_WARNING,
        SEVERITY_ERROR,
} Severity;

const char *severity_to_string(Severity s);

/*
 * A place in a file: byte offsets, end exclusive. Line and column (1-based, column in code points)
 * are derived from the bytes when a finding is rendered. Empty (start == end) is allowed.
 */
typedef struct Span {
        size_t start;
        size_t end;
} Span;

#define SPAN_NONE ((Span){ SIZE_MAX, SIZE_MAX })

typedef struct Diag {
        Severity severity;
        const char *code;         /* stable word from docs/reference/findings.md; static storage */
        Span span;                /* SPAN_NONE: about the whole file */
        char *text;               /* one sentence, no full stop; never holds a secret's value */
        char *help;               /* what to write instead; may be NULL */
        char *path;               /* JSON pointer of the value, may be NULL */
        char *fix;                /* replacement of the span that is safe to apply, may be NULL */
        Span related;             /* e.g. the first of two equal keys; SPAN_NONE if there is none */
        const char *related_text; /* static storage; NULL if there is none */
} Diag;

typedef struct Diags {
        Diag *items;
        size_t n_items;
        size_t n_errors;
        size_t n_warnings;
        Span *secrets; /* what must not be shown, whatever finding has it in its source line */
        size_t n_secrets;
} Diags;

#define DIAGS_NULL ((Diags){ 0 })

void diags_done(Diags *d);
#define _cleanup_diags_ _cleanup_(diags_done)

/* Adds a finding; @path, @help and @fix are copied and may be NULL. The sentence is formatted.
 * Returns the finding (borrowed, valid until the next one is added), so that `related` can be
 * filled in, or NULL when there was no memory (the error is then still counted). */
Diag *diags_add(Diags *d,
                Severity severity,
                const char *code,
                Span span,
                const char *path,
                const char *help,
                const char *format,
                ...) _printf_(7, 8);

/* Says that these bytes of the file look like a secret: excerpts show stars there. -ENOMEM. */
_must_check_ int diags_hide(Diags *d, Span span);

/* Sorts by place (whole-file findings first) and drops a second finding of one code at one
 * place. */
void diags_sort(Diags *d);
