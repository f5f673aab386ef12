/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which roster the controller goes by: the file, if it is whole and valid; else the one that was
 * accepted last, with a sentence about why.
 */

#include "reconciler/pass.h"

typedef enum RosterState {
        ROSTER_STATE_ACCEPTED,   /* the file is in force */
        ROSTER_STATE_INVALID,    /* its findings are in the message */
        ROSTER_STATE_MISSING,    /* no file */
        ROSTER_STATE_UNREADABLE, /* there is something, but it cannot be read as a file of ours */
        ROSTER_STATE_UNSETTLED,  /* somebody is writing it */
        ROSTER_STATE_HOME_GONE,  /* and so nothing may be changed at all */
} RosterState;

const char *roster_state_to_string(RosterState s); /* "accepted" ... */

typedef struct RosterView {
        RosterState state;
        bool is_new;                        /* accepted now, and not what was in force before */
        uint64_t generation;                /* of what is in force; 0: nothing is */
        char *message;                      /* one line; NULL if accepted */
        char file_sha256[FINGERPRINT_SIZE]; /* of the file, "" if it could not be read */
} RosterView;

void roster_view_done(RosterView *v);

/*
 * Loads into @p what is in force, and accepts the file if it can be. While a process has it open
 * for writing, only if its content is @open_sha256 (NULL: never). To be called under the writer's
 * lock. Returns 0; EXIT_INVALID: nothing is in force; EXIT_BLOCKED: the home is gone; negative
 * errno.
 */
_must_check_ int watch_roster_load(Context *c, const char *open_sha256, Pass *p, RosterView *ret);

/* Is the directory gone that the roster, and all that users keep for the fleet, is in? */
bool watch_home_is_gone(const Context *c);

/* The first error and how many more there are, as one line. Caller frees. */
_must_check_ int watch_roster_describe(const Context *c, const Pass *p, char **ret);
