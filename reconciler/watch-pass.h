/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One pass of the controller, in a process of its own: whatever the roster or the manager does to
 * it, the controller stays small, answers signals and its watchdog, and goes on. It tells what it
 * saw and did as events, one JSON object a line (schema/watch.schema.json).
 */

#include "reconciler/context.h"
#include "reconciler/plan/schedule.h"

typedef struct WatchOrder {
        Cause cause;
        uint64_t removals_wait_usec; /* the roster was touched a moment ago: nothing is removed for
                                      * so long */
        uint64_t generation;         /* of the roster that the last pass went by; 0: none yet */
        const char *open_sha256;     /* a file with this content is taken although somebody has it
                                      * open for writing; NULL: none is */
} WatchOrder;

/*
 * Makes one pass and writes its events to @out; SIGTERM ends it at the next step. Events are
 * "action" as each ends, "crash" for an agent that is given up for a while, "pids" (what to watch;
 * internal) and at last "pass". Returns the exit code of spec section 5, or a negative errno if
 * there was none to tell.
 */
_must_check_ int watch_pass_run(Context *c, const WatchOrder *order, int out);
