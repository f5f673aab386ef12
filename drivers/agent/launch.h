/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a launcher does next, by what came of the last thing it did: the way from an accepted spec
 * to a running agent as a state machine. Pure: no process, no file, no clock. launcher.c does what
 * it says; the simulated world of the tests (tests/simulation) does the same to its own processes.
 */

#include <stdbool.h>

/* A pane that goes away more often than this is no accident. */
#define LAUNCH_RETRIES_MAX 3

typedef enum LaunchStep {
        LAUNCH_READ_SPEC,
        LAUNCH_ASK_KEEPER,     /* for the terminal */
        LAUNCH_MAKE_SESSION,   /* there is no keeper; once a server answers */
        LAUNCH_AWAIT_KEEPER,   /* of a session that is there; @made says how it came to be */
        LAUNCH_ADD_KEEPER,     /* it has lost its own: a window with another one */
        LAUNCH_OWN_TERMINAL,   /* make what the keeper lent the controlling terminal */
        LAUNCH_RESET_TERMINAL, /* from here on it is ours alone */
        LAUNCH_CHECK_RUN,      /* no earlier agent of that name lives on */
        LAUNCH_PREPARE,        /* directory, environment, program */
        LAUNCH_WRITE_RUN,      /* the run file */
        LAUNCH_SAY_READY,      /* to the supervisor */
        LAUNCH_EXEC,
        LAUNCH_REMOVE_RUN, /* the exec failed: it proves nothing */
        LAUNCH_FAILED,     /* the end, but of an exec, which does not come back */
        _LAUNCH_STEP_MAX,
} LaunchStep;

typedef enum LaunchOutcome {
        LAUNCH_DONE,
        LAUNCH_ABSENT,  /* ask: no keeper answers */
        LAUNCH_THERE,   /* make: there is one of ours already */
        LAUNCH_NOT_YET, /* make, await: to be tried again in a moment */
        LAUNCH_LATE,    /* await: the time for it is over */
        LAUNCH_GONE,    /* own: the pane went away after its keeper had answered */
        LAUNCH_ERROR,   /* why was said; also make: its time is over */
} LaunchOutcome;

typedef struct Launch {
        LaunchStep step;
        bool may_make;      /* a session; else there is no launcher without a keeper */
        bool made;          /* the keeper that is awaited was made a moment ago */
        unsigned n_retries; /* panes that went away */
} Launch;

/* @systemd: the service manager has started it; else a keeper has. */
Launch launch_begin(bool systemd);

/* To be called with what came of @l->step, until that is LAUNCH_FAILED or the exec has succeeded.
 */
void launch_next(Launch *l, LaunchOutcome outcome);
