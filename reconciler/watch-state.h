/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the controller says of itself: runtime/controller.json, written after each pass, read by
 * `status` and `explain`. It says who wrote it, so that what a controller left behind that is gone
 * is not taken for news.
 */

#include "model/json.h"
#include "reconciler/context.h"

typedef enum ConditionType {
        CONDITION_ROSTER,    /* the file is in force */
        CONDITION_CONVERGED, /* the machine is as the roster says */
        CONDITION_FILES,     /* the kernel tells of saves */
        CONDITION_MANAGER,   /* the user manager tells of its units */
        _CONDITION_TYPE_MAX,
} ConditionType;

typedef struct WatchCondition {
        bool is_set;
        bool status;
        char reason[32];
        char *message;       /* may be NULL */
        uint64_t since_usec; /* CLOCK_REALTIME */
} WatchCondition;

typedef struct WatchState {
        uint64_t started_usec; /* this and all others: CLOCK_REALTIME */
        uint64_t generation;
        char roster_sha256[65];
        uint64_t n_passes;
        uint64_t pass_usec; /* end of the last one */
        uint64_t took_msec;
        char cause[16];
        uint64_t n_actions;
        int exit;
        uint64_t next_usec; /* the next pass, if nothing happens before */
        WatchCondition conditions[_CONDITION_TYPE_MAX];
} WatchState;

void watch_state_done(WatchState *s);

const char *condition_type_to_string(ConditionType t); /* "RosterAccepted" ... */

/* Returns true if status or reason changed: then it holds since now. @message is copied. */
bool watch_state_set(WatchState *s,
                ConditionType type,
                bool status,
                const char *reason,
                const char *message,
                uint64_t now_usec);

/* Writes the file; @text, if not NULL, gets the same as one line (caller frees). */
_must_check_ int watch_state_write(const Context *c, const WatchState *s, char **ret_text);

void watch_state_remove(const Context *c);

/* What a running controller says; NULL if none runs. Of one that could not write its file there is
 * the "pid" alone. Negative errno: whether one runs cannot be told. */
_must_check_ int watch_state_read(const Paths *p, Json **ret);

/* The version of a controller that is another one than this program's, as after an upgrade; NULL:
 * it is the same, or not known, or none runs. Borrowed. */
const char *watch_state_other_version(const Json *controller);
