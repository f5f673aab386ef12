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

typedef enum ApplyStage {
        APPLY_MAIN,     /* everything but the removals */
        APPLY_REMOVALS, /* once the caller has looked again, and the rest is verified */
} ApplyStage;

/*
 * Does one stage; results go to @report (made by report_new() for this plan). What was begun is
 * waited for also after an interrupt, and a restart whose stop was begun is finished. Returns 0
 * whatever became of the actions, a negative errno (no memory) if nothing sensible could be done.
 */
_must_check_ int apply_plan(const Driver *driver,
                const Desired *desired,
                const Observed *observed,
                const Plan *plan,
                ApplyStage stage,
                const ApplyCallbacks *callbacks,
                Report *report);

/* Ends the removals that were not begun, as skipped because of @why. */
void apply_skip_removals(
                const Plan *plan, const ApplyCallbacks *callbacks, Report *report, const char *why);
