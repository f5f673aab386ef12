/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The terminal of one agent, found for the verbs that show it: the session that carries its mark,
 * and the pane in it that is the agent's. The roster is asked only why there is none: an agent that
 * left it, or a roster in the middle of an edit, hides no terminal.
 */

#include "drivers/tmux/pane.h"
#include "drivers/tmux/server.h"
#include "reconciler/context.h"

typedef struct AgentTerminal {
        TmuxServer *server;
        Observed *observed; /* tmux and the run files, nothing else */
        PaneTarget pane;    /* borrowed from @observed */
        bool alive;         /* the agent's process lives */
} AgentTerminal;

#define AGENT_TERMINAL_NULL ((AgentTerminal){ 0 })

void agent_terminal_done(AgentTerminal *t);
#define _cleanup_agent_terminal_ _cleanup_(agent_terminal_done)

/*
 * Returns 0; an exit code after its sentence: EXIT_USAGE (no such agent), EXIT_NOT_CONVERGED (it
 * has no terminal here), EXIT_UNKNOWN (cannot tell); negative errno. @verb is for the sentence,
 * @name is borrowed.
 */
_must_check_ int agent_terminal_find(Context *c, const char *verb, char *name, AgentTerminal *ret);
