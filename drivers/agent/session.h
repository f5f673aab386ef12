/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The tmux session of an agent, for a launcher that finds no keeper: a start by hand, a killed
 * session, a tmux server that came back after a crash. The launcher heals that alone, no controller
 * is needed.
 */

#include "drivers/agent/launcher.h"

typedef enum SessionOutcome {
        SESSION_MADE,     /* a keeper starts in it now */
        SESSION_IS_THERE, /* ours, so its keeper should be there too */
        SESSION_NOT_YET,  /* no server answers on the socket, or it made none; *ret_why has its
                           * words */
        SESSION_FAILED,   /* *ret_status has the exit status; why was said */
} SessionOutcome;

/* Makes the session unless there is one. A session of that name which is not ours is left alone.
 * The caller frees *ret_why, which may be NULL. */
SessionOutcome session_make(const Launcher *l, const FleetFile *f, int *ret_status, char **ret_why);

/* Puts a keeper into a new window of the session, which is ours and has lost its own. 0 or exit
 * status. */
int session_add_keeper(const Launcher *l, const FleetFile *f);
