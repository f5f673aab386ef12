/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is known of agents by what their keepers answered, or did not (pure). Who asks them is
 * direct.c.
 */

#include "drivers/agent/keeper-client.h"
#include "drivers/driver.h"

/* Is its keeper to be asked? Of the session at @i of @o, which is sorted: one question an agent,
 * and none where a run file proves that it runs. */
bool known_needs_query(const Observed *o, size_t i);

/* Adds what a keeper answered to a query: a unit, or nothing. 0 or -ENOMEM. */
_must_check_ int known_add_unit(Observed *o, const KeeperCall *c);

/* There is no keeper. */
bool known_is_absent(int error);

/* No keeper stopped anything: there is none, it went away, or nothing ever ran under it. */
bool known_nothing_was_stopped(DriverJobKind kind, const KeeperCall *c);
