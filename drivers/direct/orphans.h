/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agents without their keeper. One that was killed takes its pane along, and the agent gets a
 * hangup; an agent that does not heed it lives on, known by its run file only. To stop it is to end
 * that process.
 */

#include "drivers/driver.h"
#include "drivers/os/paths.h"

/* Ends those of these stops whose agent runs all the same, and waits until they have ended: TERM,
 * the job's stop timeout, KILL. What failed is in the job. 0 or negative errno. */
_must_check_ int orphans_stop(const Paths *paths, DriverJob *const *jobs, size_t n);
