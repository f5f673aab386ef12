/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the sources of an event loop fail. Left alone, sd-event switches a source off whose callback
 * returned an error, says nothing, and goes on without it: a controller that is deaf. An error of
 * ours ends the loop instead, and whoever started the program starts it again.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

static inline int event_source_strict(sd_event_source *s) {
        return sd_event_source_set_exit_on_failure(s, true);
}

/* The same for a source that nobody but its loop keeps. */
static inline int event_source_strict_floating(sd_event_source *s) {
        int r = event_source_strict(s);

        if (r >= 0)
                r = sd_event_source_set_floating(s, true);
        sd_event_source_unref(s);
        return r;
}
