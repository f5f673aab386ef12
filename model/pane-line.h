/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One line of a pane as tmux captures it, made harmless (pure): whatever an agent printed, nothing
 * of it can act on the terminal of who looks. Colours and attributes may stay; every other escape
 * sequence and every control byte goes.
 */

#include "model/base/strbuf.h"

/* Colours and attributes at the end of a line: a capture does not repeat them on the next one. All
 * zero: the terminal's own. */
typedef struct PaneStyle {
        unsigned attributes; /* bit N: SGR parameter N is on */
        char foreground[24]; /* parameters, "38;5;196"; "" is the default */
        char background[24];
        char underline[24]; /* colour of the underline */
        bool line_drawing;  /* letters stand for line-drawing characters (VT100) */
} PaneStyle;

#define PANE_STYLE_NULL ((PaneStyle){ 0 })

/*
 * Appends the line (without its newline) to @plain, blanks at its end left out, and to @styled,
 * unless that is NULL, the same with colours: complete by itself, whatever line was printed before
 * it. @style is that of the end of the line before, and updated.
 */
void pane_line_clean(const char *line, size_t n, PaneStyle *style, StrBuf *plain, StrBuf *styled);
