/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One pass: roster -> desired -> observed -> plan, and on request apply -> observe -> plan again.
 * Every verb that looks at or changes the fleet goes through here.
 */

#include "model/base/diag.h"
#include "model/report.h"
#include "model/roster.h"
#include "reconciler/apply.h"
#include "reconciler/context.h"
#include "reconciler/plan/planner.h"

typedef struct Pass {
        char *roster_bytes;
        size_t roster_size;
        Diags diags;
        Desired *desired;   /* NULL if the roster is invalid */
        Observed *observed; /* the latest look */
        Observed *first;    /* the look that the plan was made from, where there is a later one */
        Plan *plan;         /* made from the first look */
        Report *report;     /* of the actions; NULL if nothing was applied */
        Plan *rest;         /* made from the look after the actions; NULL if there were none */
        bool impatient; /* set by the caller: states that pass by themselves are not waited for, and
                         * are no failure */
        bool offline; /* set by the caller: nobody is asked when the roster is loaded; whether this
                       * machine has what it needs is not looked at */
        bool has_begun;     /* by pass_begin() */
        char *search_path;  /* the PATH of agents, that was learned then; may be NULL */
        uint64_t look_usec; /* CLOCK_MONOTONIC of the look that the plan was made from */
        uint64_t observe_usec;
        uint64_t apply_usec;
} Pass;

#define PASS_NULL ((Pass){ 0 })

void pass_done(Pass *p);
#define _cleanup_pass_ _cleanup_(pass_done)

/* Starts the look that pass_plan() takes, so that it is under way while the roster is loaded. For
 * callers that change nothing in between; the driver must be open. */
_must_check_ int pass_begin(Context *c, Pass *p);

/* Loads and resolves the roster. Returns 0, EXIT_INVALID (findings in p->diags), negative errno. */
_must_check_ int pass_load(Context *c, Pass *p);

/* The same from p->roster_bytes, wherever they came from. */
_must_check_ int pass_resolve(Context *c, Pass *p);

/* Loads and resolves the roster that was accepted last, whatever its file is now; what @p held is
 * freed. -ENOENT: none was ever accepted. */
_must_check_ int pass_load_accepted(Context *c, Pass *p);

/* Makes the loaded roster the accepted one, durably, before anything is done because of it. */
_must_check_ int pass_accept_roster(Context *c, const Pass *p, uint64_t *ret_generation);

/* The built-in runtimes, as the roster loader wants them. Caller frees the list. */
_must_check_ int pass_builtin_runtimes(RosterSource **ret, size_t *ret_n);

/* Looks and plans. pass_load() must have succeeded. With a paced policy the ledger in the
 * observation takes the look in; it is for the caller to keep. */
_must_check_ int pass_plan(Context *c, const PlanPolicy *policy, bool details, Pass *p);

/* Plans again while somebody is on the way down, for a few seconds: what such an agent needs is
 * known once it is there. For callers that act; pass_plan() must have succeeded. @callbacks may be
 * NULL. */
_must_check_ int pass_settle(
                Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p);

/*
 * Does what p->plan says, looks again and plans the rest. States that pass by themselves are given
 * a few seconds. A done action that the second look contradicts becomes failed.
 */
_must_check_ int pass_apply(
                Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p);

/* The exit code of an applied pass. */
ExitCode pass_exit_code(const Pass *p);
