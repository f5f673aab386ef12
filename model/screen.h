/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What one look at a pane gave: its text, its title, where the cursor is. Values only; what they
 * mean for a runtime is in reconciler/agent/signs.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/base/cleanup.h"

typedef struct Screen {
        char *text;  /* the visible lines, each with a newline; blanks at their ends are kept */
        char *title; /* of the pane */
        unsigned width, height;
        unsigned cursor_x, cursor_y; /* cells from the upper left corner, from 0 */
        unsigned attached;           /* clients of the session */
        bool dead;                   /* the keeper has ended */
        bool in_mode;                /* copy mode, or another one that takes the keys */
        bool alternate;              /* the alternate screen: there is no scrollback */
        pid_t pane_pid;
        uint64_t activity_usec; /* last output of the window, CLOCK_REALTIME; whole seconds */
} Screen;

void screen_done(Screen *s);
#define _cleanup_screen_ _cleanup_(screen_done)

/* Line @y (from 0), borrowed, without the newline; "" below the last one. */
const char *screen_line(const Screen *s, unsigned y, size_t *ret_length);

/* The same without blanks at its end. */
const char *screen_line_trimmed(const Screen *s, unsigned y, size_t *ret_length);

/* How many bytes of a line its first @cells cells are; *ret_missing: cells that it is short of. */
size_t screen_bytes(const char *line, size_t length, unsigned cells, unsigned *ret_missing);

/* "The line above @y" LF "the first @x cells of @y", for composer patterns. Caller frees. */
_must_check_ int screen_before(const Screen *s, unsigned x, unsigned y, char **ret);

/* "What stands from cell @x of line @y on" LF "the line below", both without blanks at the end.
 * Caller frees. */
_must_check_ int screen_after(const Screen *s, unsigned x, unsigned y, char **ret);
