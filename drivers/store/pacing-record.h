/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * state/pacing.json: the ledger of model/pacing.h, so that a controller which was restarted knows
 * how often an agent was tried. Of this boot only: its times are CLOCK_MONOTONIC.
 */

#include "drivers/os/paths.h"
#include "model/pacing.h"

/* A ledger that is not there, of another boot, or garbled is an empty one. -ENOMEM. */
_must_check_ int pacing_record_read(const Paths *p, Pacing *ret);

/* Writes only if it says something else than the file; an empty ledger is no file. What stands
 * there and is no ledger (garbled, unreadable, a directory) is set aside: @ret_aside is its name
 * then, else NULL; caller frees. */
_must_check_ int pacing_record_write(const Paths *p, const Pacing *pacing, char **ret_aside);

#define PACING_RECORD_FILE "pacing.json"
