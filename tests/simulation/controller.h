/* SPDX-License-Identifier: MIT */
#pragma once

/* The controller as it ships, on a world in memory: one pass, and the verbs of a person. */

#include "reconciler/plan/planner.h"
#include "tests/simulation/referee.h"

typedef struct ControllerPass {
        int code;         /* exit code; negative: the pass ended early */
        size_t n_actions; /* of its first plan */
        bool planned;
        bool crashed;       /* nobody was told anything */
        uint64_t next_usec; /* when it wants to look again; USEC_INFINITY: no wish */
} ControllerPass;

/* One pass of the controller (reconciler/step.c), judged by @r. A roster that is not accepted yet
 * is accepted first. If the world let it crash, the world is as it left it, and ready for the next
 * one. */
ControllerPass controller_pass(
                World *w, const Desired *desired, uint64_t removals_wait_usec, Referee *r);

/* What a verb does with this policy: plan, apply, look again (reconciler/pass.c). */
int controller_verb(World *w, const Desired *desired, const PlanPolicy *policy, Referee *r);

/* How many actions and blocked or unknown remarks a plan made now has. */
size_t controller_would(World *w, const Desired *desired);
