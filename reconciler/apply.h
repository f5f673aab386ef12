/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Executes a plan: phase by phase over all agents, in batches, failures kept to their agent.
 * Decides nothing; whether the world is now as it should be is told by the observation that
 * follows.
 */

#include "drivers/driver.h"
#include "model/plan.h"
#include "model/report.h"

typedef struct ApplyCallbacks {
        /* An action has ended; @i is its index. */
        void (*done)(const Plan *plan, const Report *report, size_t i, void *userdata);
        /* True once the user wants no further actions begun. */
        bool (*interrupted)(void *userdata);
        void *userdata;
} ApplyCallbacks;

/*
 * @observed is what the plan was made from. Returns 0 whatever became of the actions (that is in
 * the report), a negative errno if nothing sensible could be done.
 */
_must_check_ int apply_plan(const Driver *driver,
                const Desired *desired,
                const Observed *observed,
                const Plan *plan,
                const ApplyCallbacks *callbacks,
                Report **ret);
