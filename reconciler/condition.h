/* SPDX-License-Identifier: MIT */
#pragma once

/* One word for what an agent is in, and why; for status. Pure. */

#include "model/observed.h"
#include "model/plan.h"

typedef struct Condition {
        const char *word; /* "running", "starting", "held", "crash-loop", "dead", "missing" ... */
        const char *why;  /* borrowed from plan or sources; "" if there is nothing to say */
        const char *help; /* borrowed; NULL if there is nothing to do */
        bool good;
} Condition;

Condition condition_of(const AgentSpec *spec, const Observed *o, const Plan *plan);

/* Is it here, running or with its session, though it left the roster? Then it is "leaving". */
bool condition_is_leaving(const char *agent, const Desired *desired, const Observed *o);
Condition condition_of_leaving(const char *agent, const Plan *plan);
