/* SPDX-License-Identifier: MIT */
#pragma once

/* What the parts of the planner share during one call; nothing outlives it. */

#include "reconciler/plan/planner.h"

typedef struct PlanContext {
        const Desired *desired;
        const Observed *observed;
        const PlanPolicy *policy;
        uint64_t now_usec;
        Plan *plan;
        bool can_see_agents;            /* manager, runs and files are known */
        bool can_see_sessions;          /* tmux is known (present or absent) */
        bool can_start;                 /* nothing of the fleet's level is in the way of a start */
        const ObservedSession **others; /* sessions that bear another name than their agent's, or
                                           have none; by name */
        size_t n_others;
} PlanContext;

/* Did the caller name agents? Else it is about the whole fleet. */
bool plan_is_by_name(const PlanContext *c);

/* Is this agent within the names the caller gave? */
bool plan_in_scope(const PlanContext *c, const char *agent);

/* A session that bears the agent's name without being ours; NULL if there is none. */
const ObservedSession *plan_foreign_namesake(const PlanContext *c, const char *agent);

/* Why a running agent must not be ended now by itself: an attached client, or work; NULL if nothing
 * speaks against it. @must_ask: not having asked counts as not knowing. @buffer has room of @n
 * bytes. */
const char *plan_waits_for(const PlanContext *c,
                const ObservedSession *session,
                bool must_ask,
                char *buffer,
                size_t n);

/* diff.c: what one agent of the roster needs. */
_must_check_ int plan_agent(PlanContext *c, const AgentSpec *spec);

/* prune.c: what is ours and not in the roster (any more), under the cap. */
_must_check_ int plan_prune(PlanContext *c);

/* order.c: dependencies of starts, and the order of the plan. */
_must_check_ int plan_order(PlanContext *c);
