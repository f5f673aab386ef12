/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From looks at a pane to lines that are new (pure). A look is the end of its scrollback and its
 * screen, as lines. Programs rewrite their screens: a line counts once it stayed the same from one
 * look to the next, or was pushed up out of what is looked at; so a spinner is never reported, and
 * a line that was moved by lines above it is not reported again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

typedef struct ScrollbackLine {
        char *plain;  /* what is compared */
        char *styled; /* what is shown; NULL: the same */
        bool reported;
} ScrollbackLine;

typedef struct Scrollback {
        ScrollbackLine *lines;
        size_t n_lines;
} Scrollback;

#define SCROLLBACK_NULL ((Scrollback){ 0 })

void scrollback_done(Scrollback *s);
#define _cleanup_scrollback_ _cleanup_(scrollback_done)

/* Adds a line and owns its texts from then on, also on failure. 0 or -ENOMEM. */
_must_check_ int scrollback_take_line(Scrollback *s, char *plain, char *styled);

/* The text of a capture as cleaned lines; empty lines at its end are left out. @styled: with
 * colours too. 0 or -ENOMEM. */
_must_check_ int scrollback_read(const char *text, bool styled, Scrollback *ret);

enum { _SCROLLBACK_WHOLE, SCROLLBACK_BROKEN };

typedef void (*ScrollbackReport)(const ScrollbackLine *line, void *userdata);

/* How a look lies to the one before it, in lines of the terminal; wrapped ones make it fewer lines
 * of text. */
typedef struct ScrollbackMove {
        ssize_t moved;  /* the begin of the look moved down by so many lines; up: negative */
        bool sure;      /* not: it may be anything, and what the lines say counts */
        size_t n_above; /* lines there were above the look before: as far as this one may begin
                           above it */
} ScrollbackMove;

/*
 * Replaces @seen by @now, which is taken over, and reports the lines of both that are new and
 * settled, in order. Returns 0; SCROLLBACK_BROKEN if next to nothing of @seen is in @now: what was
 * between them is not known; -ENOMEM.
 */
_must_check_ int scrollback_follow(Scrollback *seen,
                Scrollback *now,
                const ScrollbackMove *move,
                ScrollbackReport report,
                void *userdata);

/* Nothing changed since, or nothing more will come: what was not reported yet is. */
void scrollback_settle(Scrollback *seen, ScrollbackReport report, void *userdata);
