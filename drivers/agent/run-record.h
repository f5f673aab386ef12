/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run/NAME.json, which proves what process runs which spec, and stops/NAME.json, how the last one
 * ended. Formats: docs/decisions/0001-process-model.md.
 */

#include "drivers/agent/launcher.h"

/*
 * Makes sure that no earlier agent of that name lives on: one whose pane went away and that heeds
 * no hangup. Under systemd that cannot be ours to end, so the start is put off; under `direct`
 * (@end) it is ended. To be called with the terminal owned: whoever owns that is no earlier one. 0
 * or exit status.
 */
int run_record_check(const Launcher *l, const AgentSpec *spec, bool end);

/* Writes the record for this process. @terminal: the keeper's words. 0 or exit status. */
int run_record_write(const Launcher *l, const AgentSpec *spec, char *const *terminal);

/* Removes it again, when the exec failed. */
void run_record_remove(const Launcher *l);

/* `mosaic-launcher --stopped NAME`: EXIT_CODE, EXIT_STATUS, SERVICE_RESULT, INVOCATION_ID. 0 or
 * exit status. */
int stop_record_write(const Launcher *l);
