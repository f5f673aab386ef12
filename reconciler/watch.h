/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The controller: one event loop that waits for saves of the roster, for signals of the user
 * manager and for the end of processes, and has a pass made when something happened, or when
 * nothing did for a while. It decides when; what is done is decided by the pass (watch-pass.h), in
 * a process of its own.
 */

#include "reconciler/context.h"

typedef struct WatchOptions {
        uint64_t resync_usec; /* the longest time without a pass */
} WatchOptions;

/* Runs until SIGTERM or SIGINT; every agent stays as it is. Returns the exit code: 0, EXIT_LOCKED
 * after naming the controller that runs already; or a negative errno. */
_must_check_ int watch_run(Context *c, const WatchOptions *options);
