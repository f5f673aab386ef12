/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From the bytes of a roster to the desired state of one machine. Pure: the caller reads files and
 * gathers facts, and prints the findings (model/diag-render). Checks that need the file system are
 * in drivers/os/site-check.
 */

#include <stddef.h>
#include <stdint.h>

#include "model/base/diag.h"
#include "model/spec.h"

/* Plain facts about the machine and the user, gathered by the caller. */
typedef struct Machine {
        const char *hostname;
        const char *user_home;   /* absolute; what "~/" stands for */
        const char *mosaic_home; /* absolute */
        unsigned n_cpus;
        uint64_t memory;  /* bytes; 0 unknown */
        const char *path; /* PATH the agents will get */
} Machine;

/* One file in memory. */
typedef struct RosterSource {
        const char *name;
        const char *bytes;
        size_t size;
} RosterSource;

/* The runtime that a file describes: "fleet/runtimes/pi.yaml" -> "pi". Caller frees; NULL without
 * memory. */
char *roster_runtime_name(const char *path);

enum {
        _ROSTER_OK,
        ROSTER_INVALID, /* there are errors among the findings */
};

/*
 * Loads, validates, checks and resolves. All findings go to @diags (file order). Returns 0 with
 * *ret set if there are no errors, ROSTER_INVALID if there are errors (ret untouched), negative
 * errno.
 * @runtimes: built-in runtime files, later ones win.
 */
_must_check_ int roster_load(const RosterSource *roster,
                const RosterSource *runtimes,
                size_t n_runtimes,
                const Machine *machine,
                Diags *diags,
                Desired **ret);
