/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one place that decides. Pure: no I/O, no clock, no environment; equal input gives an equal
 * plan. `plan` and `verify` print what it returns, `apply`, `start`, `restart`, `stop` and `watch`
 * execute it.
 */

#include "model/observed.h"
#include "model/plan.h"
#include "model/spec.h"

typedef enum PlanMode {
        PLAN_CONVERGE, /* everything the roster asks for, removals included */
        PLAN_START,    /* creations, starts and acceptance of the roster; nothing is disrupted */
        PLAN_RESTART,  /* as PLAN_START, and what runs is restarted */
        PLAN_STOP,     /* stops what runs; without names also removes all our sessions */
} PlanMode;

typedef struct PlanPolicy {
        PlanMode mode;
        char *const *names; /* limits the scope to these agents; NULL or empty: all */
        bool respect_stops; /* what ended well or was stopped by hand stays down, also when asked to
                               start */
        long allow_remove;  /* exact number of removals that was allowed; negative: none named */
        char *const *force_busy; /* agents that are restarted although somebody is attached */
        bool paced;              /* what keeps ending is started when the ledger says, not before */
        bool removals_wait;      /* the roster changed a moment ago: nothing is removed yet */
} PlanPolicy;

#define PLAN_POLICY_DEFAULT ((PlanPolicy){ .mode = PLAN_CONVERGE, .allow_remove = -1 })

/*
 * @desired: the accepted roster resolved for this machine. @observed: sorted. @now_usec:
 * CLOCK_REALTIME, only for ages in texts. Returns 0 or -ENOMEM; the caller owns *ret.
 */
_must_check_ int planner_plan(const Desired *desired,
                const Observed *observed,
                const PlanPolicy *policy,
                uint64_t now_usec,
                Plan **ret);
