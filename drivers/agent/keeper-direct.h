/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The supervisor part of the keeper, asleep until the first KEEPER_START: runs the launcher, waits
 * for the agent, ends it together with everything it left behind, has the end recorded. It knows
 * processes only; sockets and who asked are keeper-serve.c's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum DirectState {
        DIRECT_IDLE,
        DIRECT_STARTING, /* the launcher has not said yet that it execs the agent */
        DIRECT_RUNNING,
        DIRECT_STOPPING,  /* signals were sent, or the agent ended and its remains are being
                           * killed */
        DIRECT_RECORDING, /* all gone; `mosaic-launcher --stopped` runs */
} DirectState;

typedef struct Direct {
        DirectState state;
        const char *name;
        pid_t main; /* the launcher, then the agent; 0 once it was waited for */
        pid_t recorder;
        int signal_fd;        /* SIGCHLD; -1 until first used */
        int errors_fd;        /* what the launcher says before it execs; -1 none */
        uint64_t deadline_ms; /* CLOCK_MONOTONIC; 0: none */
        bool ready;           /* KEEPER_READY came */
        bool killing;         /* everything that is still there gets SIGKILL */
        bool timed_out;
        bool start_failed; /* how the last start ended; cleared by who reported it */
        char errors[512];
        size_t n_errors;       /* of them in the buffer */
        uint64_t n_said;       /* and in all */
        uint64_t n_said_ready; /* as many as the launcher had said when it was ready */
        char code[8];          /* $EXIT_CODE of the last end */
        char status[16];       /* $EXIT_STATUS */
        char invocation[33];
} Direct;

void direct_init(Direct *d, const char *name);

/* Starts the launcher. Returns 0 or a negative errno. Only from DIRECT_IDLE. */
int direct_start(Direct *d);

/* TERM, HUP and CONT now, KILL after @timeout_ms. Only while something runs; may shorten an earlier
 * one. */
void direct_stop(Direct *d, uint64_t timeout_ms);

/* What poll(2) found, or that the launcher said it is ready. */
void direct_on_child(Direct *d);
void direct_on_errors(Direct *d);
void direct_on_ready(Direct *d, uint64_t n_said);
void direct_on_time(Direct *d);

/* For poll(2): milliseconds until direct_on_time() is due, -1: never. */
int direct_timeout(const Direct *d);

const char *direct_state_to_string(const Direct *d);
