/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The checks of this machine and of this program: one table says what each is called, which verbs
 * show it, and which command mends it. verify, doctor, preflight and status draw on it. The
 * evidence is gathered by drivers/machine/checks, and for the throw-away fleet by
 * reconciler/preflight.
 */

#include <stddef.h>

#include "model/base/cleanup.h"

typedef enum CheckKind {
        CHECK_PARTS,
        CHECK_TMUX,
        CHECK_SOCKET,
        CHECK_MANAGER,
        CHECK_PATH,
        CHECK_CONTROLLERS,
        CHECK_LINGER,
        CHECK_PERMISSIONS,
        CHECK_STATE,
        CHECK_RUNTIMES,
        CHECK_STALE,
        CHECK_UNITS,
        CHECK_HOLDER,
        CHECK_LIMITS,
        CHECK_DEFAULT_SERVER,
        /* what preflight tries out */
        CHECK_LIVE_PLAN,
        CHECK_LIVE_MESSAGE,
        CHECK_INSTALL,
        CHECK_START,
        CHECK_START_AGAIN,
        CHECK_EXACT_TARGET,
        CHECK_RESTART,
        CHECK_STOP,
        CHECK_STOP_AGAIN,
        CHECK_START_AFTER_STOP,
        CHECK_UNTOUCHED,
        CHECK_GONE,
        _CHECK_KIND_MAX,
} CheckKind;

/* Verbs that show a check. */
enum {
        CHECK_BY_VERIFY = 1u << 0,
        CHECK_BY_DOCTOR = 1u << 1,
        CHECK_BY_PREFLIGHT = 1u << 2,
        CHECK_BY_STATUS = 1u << 3,
};

typedef enum CheckState {
        CHECK_OK,
        CHECK_NOTE,    /* true and worth saying; nothing to be done for the fleet's sake */
        CHECK_FAILED,  /* a person is needed */
        CHECK_UNKNOWN, /* could not be read */
} CheckState;

typedef struct Check {
        CheckKind kind;
        CheckState state;
        char *text; /* the evidence */
        char *help; /* the command that mends it; NULL if there is none */
} Check;

typedef struct Checks {
        Check *items;
        size_t n_items;
} Checks;

#define CHECKS_NULL ((Checks){ 0 })

void checks_done(Checks *c);
#define _cleanup_checks_ _cleanup_(checks_done)

/* Adds the outcome of a check. What is not OK gets the command of the table; the second takes
 * another one, or none (NULL). */
_must_check_ int checks_add(Checks *c, CheckKind kind, CheckState state, const char *format, ...)
                _printf_(4, 5);
_must_check_ int checks_add_help(Checks *c,
                CheckKind kind,
                CheckState state,
                const char *help,
                const char *format,
                ...) _printf_(5, 6);

size_t checks_count(const Checks *c, CheckState state);
const char *check_state_to_string(CheckState s);

/* "user-manager": a stable word. */
const char *check_name(CheckKind k);

/* A set of CHECK_BY_. */
unsigned check_shown_by(CheckKind k);
