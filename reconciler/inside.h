/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which agent of this fleet a command was given in. One that ends that agent is ended with it, half
 * way through: the agent stays down, and so does what was to be done after it.
 */

#include "model/observed.h"
#include "reconciler/context.h"
#include "reconciler/plan/planner.h"

/* Before anything is prepared: 0, or EXIT_BLOCKED after the sentence if what is asked for by name
 * or verb would end the agent that we run in; negative errno. */
_must_check_ int inside_check_verb(const Context *c, const char *verb, const PlanPolicy *policy);

/* The same for what is planned. */
_must_check_ int inside_check_plan(
                const Context *c, const char *verb, const Observed *o, const Plan *plan);
