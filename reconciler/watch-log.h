/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the controller speaks: lines for people, one JSON object a line with --json, or entries with
 * fields in the journal where its output goes there. What is so and was so before is not said
 * again.
 */

#include <systemd/sd-event.h>

#include "model/json.h"
#include "reconciler/context.h"

typedef struct WatchLog WatchLog;

typedef enum WatchWord {
        WATCH_STARTED,
        WATCH_STOPPED,
        WATCH_ROSTER,  /* accepted */
        WATCH_REFUSED, /* the roster is not usable; another one stays in force */
        WATCH_ACTION,
        WATCH_CRASH,
        WATCH_REMARK, /* an agent waits, is held, needs a person ... or no longer */
        WATCH_SYNC,   /* what the fleet as a whole has come to */
        WATCH_SOURCE, /* where events come from has failed or is back */
        WATCH_STATE,  /* on request */
        _WATCH_WORD_MAX,
} WatchWord;

_must_check_ int watch_log_new(const Context *c, sd_event *event, WatchLog **ret);
WatchLog *watch_log_free(WatchLog *l);
DEFINE_CLEANUP(WatchLog *, watch_log_free)

/* Says one sentence of the controller's own. @priority as syslog(3) has it. */
void watch_log(WatchLog *l, WatchWord word, int priority, const char *format, ...) _printf_(4, 5);

/* Says what is new in an event of a pass. -ENOMEM. */
_must_check_ int watch_log_event(WatchLog *l, const Json *event);
