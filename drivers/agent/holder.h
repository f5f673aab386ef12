/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `mosaic-launcher --holder`: becomes the tmux client that starts the fleet's server, with a
 * configuration of its own and the session `_holder`, which keeps the server alive without agents.
 */

#include "drivers/agent/launcher.h"

/* Does not return unless it fails: then the exit status, after it has said why. */
int holder_run(const Launcher *l);

/* The text of tmux.conf; pure. Caller frees. 0 or -ENOMEM. */
_must_check_ int holder_configuration(const FleetFile *f, const char *term, char **ret);
