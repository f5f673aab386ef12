/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The process in which a pass is made: begun, listened to, ended by a deadline, waited for. Its
 * memory is gone with it, and what makes it crash or hang leaves the controller as it is.
 */

#include <systemd/sd-event.h>

#include "model/json.h"
#include "reconciler/watch-pass.h"

typedef struct WatchChild WatchChild;

/* Both are called from the event loop; a negative errno ends it. @why is NULL where the pass came
 * to its end. */
typedef int (*WatchChildEvent)(const Json *event, void *userdata);
typedef int (*WatchChildEnd)(const char *why, void *userdata);

/* Raises this process' limit of descriptors; passes get what it was. @c is borrowed. SIGCHLD must
 * be blocked. */
_must_check_ int watch_child_new(Context *c,
                sd_event *event,
                WatchChildEvent on_event,
                WatchChildEnd on_end,
                void *userdata,
                WatchChild **ret);

/* A process that still runs is asked to end, and not waited for. */
WatchChild *watch_child_free(WatchChild *w);

bool watch_child_runs(const WatchChild *w);

/* Begins a pass. Negative errno: there is none, and on_end() will not be called. */
_must_check_ int watch_child_start(WatchChild *w, const WatchOrder *order);

/* Asks it to begin nothing more. */
void watch_child_stop(WatchChild *w);
