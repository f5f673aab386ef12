/* SPDX-License-Identifier: MIT */
#pragma once

/* What the panes of agents show, all of them in one tmux client; capture() of drivers/driver.h. */

#include "drivers/driver.h"
#include "drivers/tmux/server.h"

_must_check_ int screens_capture(const TmuxServer *tmux,
                const Observed *observed,
                char *const *agents,
                DriverScreen *screens);
