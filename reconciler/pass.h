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
        Plan *plan;         /* made from the first look */
        Report *report;     /* of the actions; NULL if nothing was applied */
        Plan *rest;         /* made from the look after the actions; NULL if there were none */
        uint64_t observe_usec;
        uint64_t apply_usec;
} Pass;

#define PASS_NULL ((Pass){ 0 })

void pass_done(Pass *p);
#define _cleanup_pass_ _cleanup_(pass_done)

/* Loads and resolves the roster. Returns 0, EXIT_INVALID (findings in p->diags), negative errno. */
_must_check_ int pass_load(Context *c, Pass *p);

/* The built-in runtimes, as the roster loader wants them. Caller frees the list. */
_must_check_ int pass_builtin_runtimes(RosterSource **ret, size_t *ret_n);

/* Looks and plans. pass_load() must have succeeded. */
_must_check_ int pass_plan(Context *c, const PlanPolicy *policy, bool details, Pass *p);

/*
 * Does what p->plan says, looks again and plans the rest. States that pass by themselves are given
 * a few seconds. A done action that the second look contradicts becomes failed.
 */
_must_check_ int pass_apply(
                Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p);

/* The exit code of an applied pass. */
ExitCode pass_exit_code(const Pass *p);
