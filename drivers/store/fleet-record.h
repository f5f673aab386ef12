/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/fleet.json: what was decided for this fleet on this machine (supervisor, TMUX_TMPDIR) and
 * what the holder and the launcher need to know of the roster (socket, sizes). See decision 0001.
 */

#include "drivers/os/paths.h"
#include "model/spec.h"

typedef struct FleetRecord {
        Supervisor supervisor;
        char *tmux_tmpdir; /* recorded once, so that every later call looks in the same place */
        char *tmux_socket; /* absolute path */
        char *runtime;     /* runtime directory: keepers and run files are there, whatever
                              XDG_RUNTIME_DIR says now */
        unsigned width;    /* cells */
        unsigned height;
        unsigned history; /* lines */
} FleetRecord;

FleetRecord *fleet_record_free(FleetRecord *r);
DEFINE_CLEANUP(FleetRecord *, fleet_record_free)

/* -ENOENT: this fleet was never set up here; -EBADMSG: not a record of this version. */
_must_check_ int fleet_record_read(const Paths *p, FleetRecord **ret);

/* Creates the state directory if need be. Writes only if something differs. */
_must_check_ int fleet_record_write(const Paths *p, const FleetRecord *r);

/* A record for a fleet that has none: @supervisor, TMUX_TMPDIR of the environment or /tmp, default
 * sizes and socket name of the fleet id. */
_must_check_ int fleet_record_new(const Paths *p, Supervisor supervisor, FleetRecord **ret);

/* The socket that the roster asks for, absolute. Caller frees. */
_must_check_ int fleet_record_socket(
                const FleetRecord *r, const Paths *p, const Desired *d, char **ret);

/* Takes over what the roster says of tmux; and whether that would change anything. */
_must_check_ int fleet_record_accept(FleetRecord *r, const Paths *p, const Desired *d);
_must_check_ int fleet_record_differs(
                const FleetRecord *r, const Paths *p, const Desired *d, bool *ret);
