/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When the controller makes its next pass. Events only mark that there is something to look at; one
 * pass comes shortly after the last of them, and however fast they keep coming not much later than
 * after the first. Pure: all times are CLOCK_MONOTONIC in microseconds and come in as values.
 */

#include <stdbool.h>
#include <stdint.h>

/* From the last event to the pass, and from the first one at the latest. */
#define SCHEDULE_QUIET_USEC UINT64_C(75000)
#define SCHEDULE_CAP_USEC UINT64_C(300000)
/* A roster that was left alone for so long may remove agents. */
#define SCHEDULE_STABLE_USEC UINT64_C(5000000)

typedef enum Cause {
        CAUSE_NONE,
        CAUSE_RESYNC, /* time for a look although nothing happened */
        CAUSE_DUE,    /* something was to be done later, and this is later */
        CAUSE_DRIFT,  /* a unit, a pane, the server */
        CAUSE_ROSTER, /* the roster was touched */
        CAUSE_START,  /* the controller starts */
        CAUSE_ASKED,  /* SIGHUP */
        _CAUSE_MAX,
} Cause;

const char *cause_to_string(Cause c);

typedef struct Schedule {
        uint64_t resync_usec; /* the longest time without a pass */
        uint64_t first_usec;  /* first event since the pass began; 0: none */
        uint64_t last_usec;
        uint64_t later_usec; /* what the last pass wanted; 0: nothing */
        uint64_t next_resync_usec;
        uint64_t roster_usec; /* when the roster was touched last */
        uint64_t rest_usec;   /* drift is not looked at before; 0: no limit */
        uint64_t begun_usec;
        unsigned n_failed; /* passes in a row that did not come to their end */
        bool running;
        Cause cause; /* the strongest since the pass began */
} Schedule;

/* @resync_usec as above; the first pass is due at once. */
void schedule_init(Schedule *s, uint64_t resync_usec, uint64_t now_usec);

/* Something happened. */
void schedule_mark(Schedule *s, Cause cause, uint64_t now_usec);

/* The roster was touched at a time that may lie in the past. */
void schedule_touched(Schedule *s, uint64_t at_usec);

/* When the next pass is due, and why; UINT64_MAX while one runs. */
uint64_t schedule_due(const Schedule *s);
Cause schedule_cause(const Schedule *s, uint64_t now_usec);

/* A pass begins; a pass has ended, and wants another one in @next_in_usec (UINT64_MAX: it does
 * not). */
void schedule_begin(Schedule *s, uint64_t now_usec);
void schedule_end(Schedule *s, uint64_t now_usec, uint64_t next_in_usec);

/* The pass did not come to its end, or none could begin: it is made again soon, then later and
 * later, as often as the resync at least. */
void schedule_failed(Schedule *s, uint64_t now_usec);

/* For how long nothing may be removed yet, because the roster was touched lately; 0: it may. */
uint64_t schedule_roster_settles(const Schedule *s, uint64_t now_usec);
