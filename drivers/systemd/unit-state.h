/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * systemd's words for states, made into ours: the only place that knows them. Pure.
 */

#include "drivers/systemd/manager.h"
#include "model/observed.h"

/* From ActiveState and SubState of a unit that is loaded. A word of a later systemd is
 * UNIT_OTHER. */
UnitState unit_state_from_words(const char *active, const char *sub);

/* Whether a unit without a pending job is what a job of @kind was to make of it. */
bool unit_state_fulfils(UnitJobKind kind, UnitState state);

/* What a job's result word means for the user; static storage; NULL for "done". */
const char *unit_job_result_sentence(UnitJobKind kind, const char *result);
