/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/roster.json: the roster that was accepted last, with its bytes, so that the controller can
 * go on with it while the file is half-written, invalid or gone. Its generation counts what was
 * accepted.
 */

#include <stdint.h>

#include "drivers/os/paths.h"
#include "model/spec.h"

typedef struct RosterRecord {
        char sha256[FINGERPRINT_SIZE]; /* of the bytes */
        uint64_t generation;           /* 1 for the first */
        uint64_t at_usec;              /* CLOCK_REALTIME of its acceptance */
        char *bytes;
        size_t size;
} RosterRecord;

void roster_record_done(RosterRecord *r);

/* -ENOENT: none was accepted yet, or the record is garbled. -ENOMEM, -EMFILE, -ENFILE: cannot
 * tell. */
_must_check_ int roster_record_read(const Paths *p, RosterRecord *ret);

/* Accepts a roster, durably. One that is accepted already keeps its generation. */
_must_check_ int roster_record_write(
                const Paths *p, const char *bytes, size_t size, uint64_t *ret_generation);
