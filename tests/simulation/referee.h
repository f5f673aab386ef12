/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Judges what the controller asks of the world, call by call, and whether the world is in the end
 * as the roster says. Knows the roster, what the last look showed and the world; nothing of plans:
 * it is not the planner a second time, but the list of what must never happen.
 *
 * Properties, as docs/reliability.md names them: foreign, split-brain, unknown, starts, spec,
 * announced, minimal, removal, reload, order, flight, launch.
 */

#include "tests/simulation/world.h"

typedef struct Referee {
        World told; /* what the last look of this pass showed; the first in `first` */
        World first;
        const Desired *desired; /* what the pass goes by */
        bool converge;          /* by itself, not because a person asked for it */
        bool paced;
        bool removals_wait;
        bool strict; /* each look showed the world as it was: then more can be demanded */
        unsigned n_looks;
        bool announced[WORLD_AGENTS_MAX];
        bool started[WORLD_AGENTS_MAX];
        bool in_flight;       /* jobs were submitted and not waited for */
        const char *property; /* the first one violated; NULL: none */
        char text[160];
} Referee;

/* A pass begins. @w->told is pointed at the referee's. */
void referee_begin(Referee *r, World *w, const Desired *desired);

/* To be called from the hook, before the call has its effect. */
void referee_call(Referee *r, const World *w, const WorldCall *call);

/* The pass is over, before a crash of it is forgotten. */
void referee_end(Referee *r, const World *w);

typedef enum Verdict {
        VERDICT_AS_WANTED,
        VERDICT_EXCUSED, /* not as wanted, for a reason that the controller may not remove */
        VERDICT_WRONG,
} Verdict;

/* Of one agent of the world, whether or not it is in the roster. @text: what is wrong. */
Verdict referee_judge(
                const World *w, const Desired *desired, const WorldAgent *a, const char **text);

/* Nothing more will happen by itself: is all as it should be? NULL: it is. */
const char *referee_judge_all(const World *w, const Desired *desired);
