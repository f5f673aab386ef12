/* SPDX-License-Identifier: MIT */
#pragma once

/* The checks behind verify: judged from /proc and stat(2), never by connecting anywhere. */

#include "drivers/os/paths.h"
#include "drivers/store/fleet-record.h"
#include "model/check.h"
#include "model/observed.h"

_must_check_ int machine_checks(const Paths *p,
                const FleetRecord *record,
                const Desired *desired,
                const Observed *observed,
                Checks *ret);
