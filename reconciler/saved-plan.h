/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `plan --out` and `apply --plan`: the JSON document of the plan with what it is bound to. It binds
 * by roster, machine, boot and tmux server; whoever applies it plans again, and what would be done
 * now must be a subset of what was shown.
 */

#include "reconciler/pass.h"

/* Writes the document, mode 0600. */
_must_check_ int saved_plan_write(const Context *c, const Pass *p, const char *path);

enum {
        _SAVED_PLAN_OK,
        SAVED_PLAN_STALE, /* *ret_why tells what moved */
};

/*
 * Reads a saved plan and compares what it is bound to with @p (loaded and planned). Returns 0 with
 * the actions that were shown (kind and agent only), SAVED_PLAN_STALE, -EBADMSG if it is not a
 * whole saved plan, another negative errno.
 */
_must_check_ int saved_plan_read(const Context *c,
                const Pass *p,
                const char *path,
                Plan **ret_shown,
                char **ret_why);

/* Is everything in @now also in @shown? */
bool plan_is_subset(const Plan *now, const Plan *shown);
