/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One agent for the verbs that talk to it: what the roster says of it, what runs, which words it
 * understands, and looks at its screen. An invalid roster hides no agent that runs: its words are
 * then those of its start.
 */

#include "reconciler/agent/signs.h"
#include "reconciler/context.h"
#include "reconciler/pass.h"

typedef struct AgentLook {
        Context *c;
        const char *name;
        Pass pass;             /* roster and observation */
        bool roster_invalid;   /* nothing is desired then */
        const AgentSpec *spec; /* NULL: not in the roster */
        const ObservedRun *run;
        const RuntimeTalk *talk;
        Signs *signs;

        /* the latest look; what the verdict borrows is the screen's */
        DriverScreen shown;
        ScreenVerdict verdict; /* valid if the screen has a text */
        bool alive;            /* the process of the run file, the same as at agent_look_open() */
        bool young;            /* started less than its ready timeout ago */
        uint64_t start_time;   /* of that process */
} AgentLook;

void agent_look_done(AgentLook *a);
#define _cleanup_agent_look_ _cleanup_(agent_look_done)

/*
 * Reads the roster and observes. @name is borrowed. Returns 0, EXIT_USAGE after the sentence (no
 * such agent), negative errno.
 */
_must_check_ int agent_look_open(AgentLook *a, Context *c, const char *name);

/* Observes again: time has passed. */
_must_check_ int agent_look_refresh(AgentLook *a);

/* Why it cannot be talked to: it is stopped, dead, elsewhere, unreachable. 0; the exit code with a
 * sentence (caller frees); negative errno. */
_must_check_ int agent_look_check(const AgentLook *a, char **ret_why);

/* Looks at its screen now. */
_must_check_ int agent_look_screen(AgentLook *a);
