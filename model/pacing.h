/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When an agent that went down is started again: growing delays for one that keeps ending, a start
 * budget for the fleet, and a brake for when half of the fleet was lost at once. A ledger that the
 * controller carries from pass to pass, and pure functions on it. All times are CLOCK_MONOTONIC of
 * one boot, in microseconds.
 *
 * Under systemd the manager restarts a crashed agent by itself; here is only what it gave up on.
 * Under `direct` this is all there is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/spec.h"

typedef struct Observed Observed;
typedef struct Plan Plan;

typedef struct PaceEntry {
        char agent[AGENT_NAME_MAX + 1];
        unsigned n_starts;    /* of ours in a row, none of which lasted */
        unsigned n_ends;      /* within the window that began at: (direct) */
        uint64_t window_usec; /* 0: none began */
        uint64_t down_usec;   /* since when it is known to be down; 0: it is not */
        uint64_t due_usec;    /* not started before; counts while it is down */
        bool crash_loop;      /* it ended more often than restart.attempts allows */
        bool kept_down;       /* it was due, and something else than this ledger kept it down */
} PaceEntry;

typedef struct Pacing {
        PaceEntry *items; /* sorted by agent */
        size_t n_items;
        uint64_t brake_usec; /* since when the fleet waits for its probe; 0: it does not */
        char probe[AGENT_NAME_MAX + 1];
        uint64_t released_usec; /* who went down until then has had its probe */
        uint64_t slot_usec;     /* when the second of the start budget began ... */
        unsigned n_slot;        /* ... and how many were started in it */
} Pacing;

void pacing_done(Pacing *p);

/* Takes one look into the ledger; to be called before planning. @o must be sorted. -ENOMEM. */
_must_check_ int pacing_observe(
                Pacing *p, const Desired *desired, const Observed *o, uint64_t now_usec);

/* An agent was started again because of the ledger, with whatever success. */
void pacing_started(Pacing *p, const char *agent, uint64_t now_usec);

/* Takes in what was planned after the look at @look_usec: who is started, and who was due and is
 * not (a person or another agent is needed first). The latter neither waits for the others nor do
 * they wait for it. */
void pacing_planned(Pacing *p, const Plan *plan, uint64_t look_usec);

/* A person started it, or it is gone: nothing is held against it. */
void pacing_forget(Pacing *p, const char *agent);

/* NULL: nothing is known of this agent, nothing is to be waited for. Borrowed. */
const PaceEntry *pacing_find(const Pacing *p, const char *agent);

/* When this entry may be started: 0 now, USEC_INFINITY not before the probe has lasted. */
uint64_t pacing_due(const Pacing *p, const PaceEntry *e, uint64_t now_usec);

/* When the ledger next has something to say, after a look at @look_usec; USEC_INFINITY: never by
 * itself. Who was due at that look and is not up is not the ledger's any more. */
uint64_t pacing_next(const Pacing *p, uint64_t look_usec);
