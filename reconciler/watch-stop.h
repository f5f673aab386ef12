/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `fleet stop` and `fleet start` without names do about the controller: it ends before the
 * agents do, and comes back with them.
 */

#include "reconciler/context.h"

/*
 * Ends the controller of this fleet, if one runs, and keeps others from starting as long as
 * *ret_lock is open. *ret_stopped: one ran. -ETIMEDOUT: it does not end.
 */
_must_check_ int watch_stop(Context *c, int *ret_lock, bool *ret_stopped);

/* Starts its unit again if watch_stop() ended it. *ret_started: it did. A failure is said in
 * *ret_message (caller frees). */
_must_check_ int watch_start_again(Context *c, bool *ret_started, char **ret_message);
