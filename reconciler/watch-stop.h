/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `fleet stop` and `fleet start` without names do about the controller: it ends before the
 * agents do, and its unit comes back with them.
 */

#include "reconciler/context.h"

typedef struct WatchStop {
        int lock;         /* while it is open no other controller begins; -1: not taken */
        bool asked;       /* somebody was: without it an error is not about a controller */
        bool unit;        /* its unit was stopped */
        pid_t foreground; /* one that no unit runs was ended; 0: none */
        char *message;    /* why it does not end */
} WatchStop;

void watch_stop_done(WatchStop *s);

/* Ends the controller of this fleet, if one runs. -ETIMEDOUT, or what the manager says: it does not
 * end, though it may later. */
_must_check_ int watch_stop(Context *c, WatchStop *ret);

/* Starts its unit again if watch_stop() stopped it. *ret_started: it did. A failure is said in
 * *ret_message (caller frees). */
_must_check_ int watch_start_again(Context *c, bool *ret_started, char **ret_message);
