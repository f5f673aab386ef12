/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The driver of this machine: tmux, the supervisor (systemd or direct), the store and our unit
 * drop-ins behind one drivers/driver.h. The supervisor is chosen here, once; nobody above knows it.
 */

#include "drivers/driver.h"
#include "drivers/os/paths.h"
#include "drivers/store/fleet-record.h"

typedef struct MachineDriver MachineDriver;

/* @paths and @record are borrowed; accept() updates and saves the record. Connects to nothing
 * yet. */
_must_check_ int machine_driver_new(const Paths *paths, FleetRecord *record, MachineDriver **ret);
MachineDriver *machine_driver_free(MachineDriver *m);
DEFINE_CLEANUP(MachineDriver *, machine_driver_free)

/* The functions of drivers/driver.h with @m as their world. */
Driver machine_driver_interface(MachineDriver *m);
