/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What one run of the program owns: options, paths, the record of the fleet, the driver. Opened by
 * main, passed to the verb; there are no globals.
 */

#include <stdbool.h>
#include <stdio.h>

#include "drivers/driver.h"
#include "drivers/os/pager.h"
#include "drivers/os/paths.h"
#include "drivers/store/fleet-record.h"

typedef struct Context {
        const char *group; /* of the verb that runs: "fleet", "agent"; NULL: it has none */
        Paths *paths;
        FleetRecord *record; /* read, or made up for a fleet that has none yet */
        bool record_exists;
        int supervisor_error; /* why this machine does not tell which supervisor it has; 0: it
                               * does */
        bool typed; /* a text into an agent's terminal: an end without a result does not mean
                     * that it was not sent */
        bool json;
        bool json_lines;   /* documents come one after another, each on a line */
        bool color_errors; /* of standard error */
        bool color;        /* of standard output */
        unsigned width;    /* of standard output, cells; 0: not a terminal */
        bool no_pager;
        Pager pager;   /* what shows the text in the end, once context_page() was called */
        Driver driver; /* of this machine, once context_open_driver() was called */
} Context;

/* Colour and width, from the terminal and the environment. */
void context_read_terminal(Context *c);

/* The verb prints a text that may be long: main() shows it by a pager if it does not fit. To be
 * called once the options are known, before anything is printed. */
void context_page(Context *c);

/* Where findings go: to standard error, or with the text that the pager shows. */
FILE *context_errors(const Context *c);

/* Paths and record; touches nothing else. -EBADMSG: the record is not of this version, which was
 * said. */
_must_check_ int context_open(Context *c);
void context_done(Context *c);
#define _cleanup_context_ _cleanup_(context_done)

/* The driver of this machine. */
_must_check_ int context_open_driver(Context *c);

/* Which supervisor this machine offers: systemd where there is a user manager, direct where
 * certainly none is. Another negative errno than -ENOMEM: there is one, but it does not answer. */
_must_check_ int context_detect_supervisor(const Context *c, Supervisor *ret);

enum {
        _CONTEXT_IDLE,
        CONTEXT_ACTIVE,  /* something runs */
        CONTEXT_UNKNOWN, /* it cannot be told */
};

/*
 * Whether anything of this fleet runs: a unit, an agent by its run file, a server on its socket
 * that is not plainly somebody else's. For verbs that take away what those stand on; to be called
 * under the lock. Returns 0, CONTEXT_ACTIVE with what runs in @ret_names, CONTEXT_UNKNOWN with a
 * sentence in @ret_why, negative errno. Caller frees.
 */
_must_check_ int context_find_active(Context *c, char ***ret_names, char **ret_why);
