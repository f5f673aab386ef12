/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The release checklist: the machine, what this program would do to the fleet that is there, and a
 * throw-away fleet that is started, restarted and stopped. The throw-away fleet shares nothing with
 * a live one, and is gone at the end however that comes about.
 */

#include "model/check.h"
#include "reconciler/context.h"

typedef struct PreflightCallbacks {
        bool (*interrupted)(void); /* asked between the steps; what is left out is then not known */
        void (*done)(const Context *c, const Check *check); /* may be NULL */
} PreflightCallbacks;

/* Adds all checks; with @live (else NULL) also that this agent takes a message. Negative errno: not
 * even the checks could be made. */
_must_check_ int preflight_run(
                Context *c, const PreflightCallbacks *callbacks, const char *live, Checks *ret);
