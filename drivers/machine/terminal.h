/* SPDX-License-Identifier: MIT */
#pragma once

/* Typing into an agent's terminal, and who it is that would read it; for drivers/driver.h. */

#include "drivers/driver.h"
#include "drivers/os/paths.h"
#include "drivers/tmux/server.h"

/* 0, 1 with a sentence, negative errno; vouch() of drivers/driver.h. */
_must_check_ int terminal_vouch(
                const Paths *paths, const Observed *observed, const char *agent, char **ret_why);

_must_check_ int terminal_input(const TmuxServer *tmux,
                const Observed *observed,
                const DriverInput *input,
                DriverInputReply *ret);
