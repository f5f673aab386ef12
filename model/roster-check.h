/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a schema cannot say of a roster: references between its parts, values that contradict each
 * other, names and paths that would do harm. Looks at the text and the machine's facts only; what
 * needs the file system is in drivers/os/site-check. Values that are missing or of the wrong kind
 * are passed over: there is a finding about them.
 */

#include "model/roster-decode.h"
#include "model/roster.h"

_must_check_ int roster_check(const Roster *r, const Machine *machine, Diags *diags);
