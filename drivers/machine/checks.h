/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The evidence for the checks of model/check.h that concern this machine. Nothing is changed, and
 * no tmux server but the fleet's own is ever connected to.
 */

#include "drivers/os/paths.h"
#include "drivers/store/fleet-record.h"
#include "model/check.h"
#include "model/observed.h"

/* What is checked. All is borrowed. */
typedef struct CheckSubject {
        const Paths *paths;
        const FleetRecord *record;
        const Desired *desired;   /* NULL: there is no valid roster */
        const Observed *observed; /* NULL: nobody looked; checks that need it are left out */
} CheckSubject;

/* Adds the checks that the verbs @by (CHECK_BY_) show, in the order of the table. */
_must_check_ int machine_checks(unsigned by, const CheckSubject *s, Checks *ret);
