/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From decoded values to the spec of one agent on one machine: merges, the program's defaults,
 * paths, placeholders, fingerprints. The only file that knows a default.
 *
 * Later wins: program defaults, `defaults`, the runtime (env only), the agent.
 */

#include "model/base/parse.h"
#include "model/roster-decode.h"
#include "model/roster.h"

/* The program's defaults; docs/reference/roster.md lists them. */
#define RESTART_DELAY_DEFAULT (1 * USEC_PER_SEC)
#define RESTART_ATTEMPTS_DEFAULT 5
#define RESTART_WINDOW_DEFAULT (600 * USEC_PER_SEC)
#define STOP_TIMEOUT_DEFAULT (20 * USEC_PER_SEC)
#define READY_TIMEOUT_DEFAULT (60 * USEC_PER_SEC)
#define RESET_SETTLE_DEFAULT (2 * USEC_PER_SEC)
#define SUBMIT_KEY_DEFAULT "Enter"
#define TMUX_WIDTH_DEFAULT 220
#define TMUX_HEIGHT_DEFAULT 50
#define TMUX_HISTORY_DEFAULT 50000

/* `defaults` with the agent's own settings over it (env and credentials: the agent's own only, or
 * else those of the defaults; resolving merges them key by key). */
RosterSettings roster_effective(const Roster *r, const RosterAgent *a);

/* Whether `host:` lets the agent be made on this machine. */
bool roster_is_here(const RosterSettings *effective, const Machine *machine);

enum {
        _RESOLVE_OK,
        RESOLVE_INCOMPLETE, /* something it needs is missing or wrong; there is a finding about
                             * it */
};

/* All fields of the spec but `line`. Returns 0, RESOLVE_INCOMPLETE, or a negative errno. */
_must_check_ int roster_resolve_agent(
                const Roster *r, const RosterAgent *a, const Machine *machine, AgentSpec **ret);
