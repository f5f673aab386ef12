/* SPDX-License-Identifier: MIT */
#pragma once

/* What the panes of agents show, all of them in one tmux client; capture() of drivers/driver.h. */

#include "drivers/driver.h"
#include "drivers/tmux/server.h"

_must_check_ int screens_capture(const TmuxServer *tmux,
                const Observed *observed,
                char *const *agents,
                DriverScreen *screens);

/*
 * What the client says of @n panes, as screens (pure); @output is cut up. All or nothing: of an
 * output that is not whole nothing is believed. @word begins our own lines of it. 0 or -ENOMEM.
 */
_must_check_ int screens_read(char *output, const char *word, DriverScreen *screens, size_t n);
