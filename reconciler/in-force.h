/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One look at the fleet for those that say how it is: at what is in force. A roster file that is
 * not valid does not hide the fleet; the one that was accepted last is shown, and the findings with
 * it. What a running controller leaves for later is for later.
 */

#include "model/json.h"
#include "reconciler/pass.h"

typedef struct InForce {
        Pass pass;
        Pass refused;     /* the findings of a file that is not in force, unless @valid */
        bool valid;       /* the file is what is in force */
        Json *controller; /* what the controller says of itself; NULL: none runs */
} InForce;

void in_force_done(InForce *f);
#define _cleanup_in_force_ _cleanup_(in_force_done)

/* Loads, looks and plans, for @names (NULL: all) if they are to be had: EXIT_USAGE after a
 * sentence, if there is no such agent. Returns 0; EXIT_INVALID after the findings were printed:
 * nothing is in force; negative errno. @f: zeroed. */
_must_check_ int in_force_look(Context *c, const char *verb, char *const *names, InForce *f);

/* The findings of a refused file; NULL if there are none. */
const Pass *in_force_refused(const InForce *f);
