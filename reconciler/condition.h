/* SPDX-License-Identifier: MIT */
#pragma once

/* One word for what an agent is in, and why; for status. Pure. */

#include "model/observed.h"
#include "model/plan.h"
#include "reconciler/output.h"

typedef enum ConditionKind {
        CONDITION_RUNNING,
        CONDITION_STARTING,
        CONDITION_STOPPING,
        CONDITION_STOPPED, /* as the roster says */
        CONDITION_ELSEWHERE,
        CONDITION_HELD,
        CONDITION_BLOCKED,
        CONDITION_DEAD,
        CONDITION_CRASH_LOOP,
        CONDITION_MISSING, /* it was never here */
        CONDITION_LEAVING,
        CONDITION_UNKNOWN,
        CONDITION_UNREACHABLE,
        _CONDITION_KIND_MAX,
} ConditionKind;

typedef struct Condition {
        ConditionKind kind;
        const char *why;  /* borrowed from plan or sources; "" if there is nothing to say */
        const char *help; /* borrowed; NULL if there is nothing to do */
} Condition;

const char *condition_to_string(ConditionKind k); /* "crash-loop": a stable word */

/* Green: as it should be; yellow: on its way, or down because somebody wants it so; else red. */
Style condition_style(ConditionKind k);

Condition condition_of(const AgentSpec *spec, const Observed *o, const Plan *plan);

/* Is it here, running or with its session, though it left the roster? Then it is "leaving". */
bool condition_is_leaving(const char *agent, const Desired *desired, const Observed *o);
Condition condition_of_leaving(const char *agent, const Plan *plan);
