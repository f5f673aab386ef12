/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What one run of the program owns: options, paths, the record of the fleet, the driver. Opened by
 * main, passed to the verb; there are no globals.
 */

#include <stdbool.h>

#include "drivers/driver.h"
#include "drivers/os/paths.h"
#include "drivers/store/fleet-record.h"

typedef struct Context {
        Paths *paths;
        FleetRecord *record; /* read, or made up for a fleet that has none yet */
        bool record_exists;
        bool json;
        bool color_errors; /* of standard error */
        bool color;        /* of standard output */
        unsigned width;    /* of standard output, cells; 0: not a terminal */
        Driver driver;     /* of this machine, once context_open_driver() was called */
} Context;

/* Paths, record and output settings; touches nothing else. */
_must_check_ int context_open(Context *c);
void context_done(Context *c);
#define _cleanup_context_ _cleanup_(context_done)

/* The driver of this machine. */
_must_check_ int context_open_driver(Context *c);

/* Which supervisor this machine offers: a user manager that answers, else direct. */
Supervisor context_detect_supervisor(const Context *c);
