/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The environment of an agent, made from nothing: what decision 0001 lists and not one variable
 * more. Secrets are read here and go nowhere else.
 */

#include "drivers/agent/launcher.h"

/*
 * @terminal is what the keeper said of the terminal (TERM, TMUX, TMUX_PANE). Returns 0 and a list
 * that the caller frees, or an exit status after it has said what is wrong.
 */
int environment_make(const Launcher *l, const AgentSpec *spec, char *const *terminal, char ***ret);
