/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tells that something happened to the units of this fleet: signals of the user manager over its
 * private socket. It says only "look"; what is so now is told by an observation. A connection that
 * breaks is made again, with growing delays; that too is a reason to look.
 */

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "drivers/os/paths.h"

typedef struct UnitSignals UnitSignals;

/* @changed is called from the event loop; @p is borrowed. Succeeds also while there is no manager.
 * -ENOMEM, or what the event loop says. */
_must_check_ int unit_signals_new(const Paths *p,
                sd_event *event,
                void (*changed)(void *userdata),
                void *userdata,
                UnitSignals **ret);
UnitSignals *unit_signals_free(UnitSignals *s);
DEFINE_CLEANUP(UnitSignals *, unit_signals_free)

/* Does the manager tell us at this moment? */
bool unit_signals_connected(const UnitSignals *s);
