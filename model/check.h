/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One check of the machine: what verify, doctor, preflight and status show. Gathered by
 * drivers/machine/checks, from facts that are read and never by connecting to another server.
 */

#include <stddef.h>

#include "model/base/cleanup.h"

typedef enum CheckState {
        CHECK_OK,
        CHECK_NOTE,    /* true and worth saying; nothing to be done for the fleet's sake */
        CHECK_FAILED,  /* a person is needed */
        CHECK_UNKNOWN, /* could not be read */
} CheckState;

typedef struct Check {
        const char *name; /* stable word */
        CheckState state;
        char *text;       /* the evidence */
        const char *help; /* the command that fixes it; NULL if there is none */
} Check;

typedef struct Checks {
        Check *items;
        size_t n_items;
} Checks;

#define CHECKS_NULL ((Checks){ 0 })

void checks_done(Checks *c);
#define _cleanup_checks_ _cleanup_(checks_done)

_must_check_ int
checks_add(Checks *c, const char *name, CheckState state, const char *help, const char *format, ...)
                _printf_(5, 6);

size_t checks_count(const Checks *c, CheckState state);
const char *check_state_to_string(CheckState s);
