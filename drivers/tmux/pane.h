/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One pane of ours, read: its numbers and, where they changed since the last look, its scrollback
 * and screen. One client a look, whatever changed; one that shows nothing new costs one line.
 */

#include <stdbool.h>
#include <stdint.h>

#include "drivers/tmux/server.h"
#include "model/base/cleanup.h"

/* Which pane. Strings are borrowed; the ids are checked before they are used. */
typedef struct PaneTarget {
        const char *agent;      /* the session must carry its marker when tmux looks */
        const char *session_id; /* "$3" */
        const char *pane_id;    /* "%5" */
} PaneTarget;

typedef struct PaneLook {
        uint64_t history;       /* lines above the screen */
        uint64_t history_limit; /* at which tmux drops the oldest tenth */
        uint64_t height;
        uint64_t activity_usec; /* last output of the window, CLOCK_REALTIME, whole seconds */
        bool dead;              /* not even the keeper lives */
        char *signature;        /* of all that changes when something is printed */
        char *text;             /* NULL: as at the last look. Lines with colours, wrapped ones
                                   joined */
} PaneLook;

#define PANE_LOOK_NULL ((PaneLook){ 0 })

void pane_look_done(PaneLook *l);
#define _cleanup_pane_look_ _cleanup_(pane_look_done)

enum { _PANE_LOOK_OK, PANE_GONE };

/*
 * Looks at the pane: its screen and @n_history lines above it. @signature: of the last look, then
 * the text is read only if something changed; NULL: it is read. Returns 0, PANE_GONE (no such
 * pane, session or server, or the session is not ours any more), negative errno (-EBADMSG: no whole
 * answer).
 */
_must_check_ int pane_look(const TmuxServer *s,
                const PaneTarget *target,
                uint64_t n_history,
                const char *signature,
                PaneLook *ret);

/* The command list, and its answer (pure). @word: begins our own lines of the answer. */
_must_check_ int pane_look_commands(const char *fleet,
                const PaneTarget *target,
                uint64_t n_history,
                const char *signature,
                const char *word,
                char **ret);
_must_check_ int pane_look_parse(const char *output, const char *word, PaneLook *ret);
