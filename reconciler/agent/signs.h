/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What an agent is in, judged by its screen: the patterns of a runtime, compiled, and the one
 * judgement that apply, status and send share (pure: time comes in as a value). Whether there is a
 * process at all is not asked here.
 */

#include "model/observed.h"
#include "model/screen.h"

typedef enum ScreenState {
        SCREEN_UNKNOWN,
        SCREEN_STARTING,
        SCREEN_IDLE,
        SCREEN_BUSY,
        SCREEN_WAITING, /* for a person: an approval, a login, a question */
        SCREEN_DRAFT,   /* somebody's text stands in the input box */
        _SCREEN_STATE_MAX,
} ScreenState;

const char *screen_state_to_string(ScreenState s);

/* What the state was seen by. */
typedef enum ScreenSign {
        SIGN_NONE,
        SIGN_WAITING,       /* waiting pattern, on a line */
        SIGN_WAITING_TITLE, /* waiting pattern, on the title */
        SIGN_BUSY,
        SIGN_BUSY_TITLE,
        SIGN_FOREGROUND, /* another program has the terminal */
        SIGN_ACTIVITY,   /* the window changed a moment ago */
        SIGN_COMPOSER,   /* the input box, empty or with text */
        SIGN_UNFOCUSED,  /* an empty input box that the cursor has left */
        SIGN_READY,      /* ready pattern; only of runtimes without a composer pattern */
        SIGN_AGE,        /* it was started a moment ago */
        SIGN_ERROR,      /* a pattern took too long, or the screen is no UTF-8 */
        _SCREEN_SIGN_MAX,
} ScreenSign;

const char *screen_sign_to_string(ScreenSign s);

typedef struct ScreenFacts {
        const Screen *screen;
        uint64_t now_usec;     /* CLOCK_REALTIME, not before the look */
        uint64_t started_usec; /* when the agent was, CLOCK_REALTIME; 0 unknown: long ago */
        bool other_foreground; /* another program than the agent has the terminal */
} ScreenFacts;

typedef struct ScreenVerdict {
        ScreenState state;
        ScreenSign sign;
        const char *text; /* the line, title or draft that tells; borrowed from the screen; or
                           * NULL */
        size_t length;
        unsigned line;       /* where that is, from 1; 0: on no line */
        bool composer_empty; /* an empty input box at the cursor, whatever the state is */
        bool unfocused;      /* instead: an empty one that the cursor has left */
        bool busy;           /* a busy sign is there, whatever the state is */
} ScreenVerdict;

typedef struct Signs Signs;

/*
 * @talk is borrowed. A pattern that does not compile (the roster's schema refuses those) counts as
 * one that cannot be told: SIGN_ERROR. -ENOMEM.
 */
_must_check_ int signs_new(const RuntimeTalk *talk, Signs **ret);
Signs *signs_free(Signs *s);
DEFINE_CLEANUP(Signs *, signs_free)

/* Which words are right for a run: the roster's if it names the runtime that runs, so that a
 * corrected pattern counts at once, else those the run was started with. @spec may be NULL. */
const RuntimeTalk *signs_talk(const AgentSpec *spec, const ObservedRun *run);

/* Was the agent started less than its ready timeout ago? What it shows first it may take back. */
bool signs_young(const Signs *s, const ScreenFacts *facts);

/*
 * Waiting (and no empty input box), busy by a sign, starting, draft, busy because the window just
 * changed, idle, unknown: the first that holds. Returns 0 or -ENOMEM.
 */
_must_check_ int signs_judge(const Signs *s, const ScreenFacts *facts, ScreenVerdict *ret);

/* One pattern against this screen, for people who look for the right one. */
typedef struct SignProbe {
        const char *name;    /* "composer", "busy title" ... */
        const char *pattern; /* borrowed; NULL: the runtime has none */
        int found;           /* 1, 0, negative errno */
        unsigned line;       /* of the lowest line that matches, from 1; 0: none or the title */
        const char *text;    /* that line; borrowed; NULL */
        size_t length;
} SignProbe;

#define SIGN_PROBES 8

/* Tries every pattern. Returns 0 or -ENOMEM. */
_must_check_ int signs_probe(
                const Signs *s, const Screen *screen, SignProbe ret[static SIGN_PROBES]);
