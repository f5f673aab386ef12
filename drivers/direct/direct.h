/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The supervisor of machines without a user manager: the tmux server is started here, agents are
 * started, waited for and stopped by their keepers (drivers/agent), asked over their sockets.
 */

#include "drivers/driver.h"
#include "drivers/os/paths.h"
#include "drivers/tmux/server.h"

typedef struct DirectSupervisor DirectSupervisor;

_must_check_ int direct_new(const Paths *paths, DirectSupervisor **ret);
DirectSupervisor *direct_free(DirectSupervisor *d);

/* Starts the tmux server with its holder session in the background; 0 once it answers. */
_must_check_ int direct_start_server(
                DirectSupervisor *d, const TmuxServer *tmux, char **ret_message);

/* Ends the server, and waits until it is gone. */
_must_check_ int direct_stop_server(
                DirectSupervisor *d, const TmuxServer *tmux, char **ret_message);

/* Adds as units those whom no run file proves: their keepers know of them. A removed run file makes
 * nobody a dead agent, and one that is just ending is not one to start. @o has its sessions,
 * sorted. */
_must_check_ int direct_observe(const DirectSupervisor *d, Observed *o);

/* As submit() and wait() of drivers/driver.h. An agent whose session has lost its keeper gets
 * another in a new window of it. */
_must_check_ int direct_submit(DirectSupervisor *d, DriverJob *job);
_must_check_ int direct_wait(DirectSupervisor *d,
                const TmuxServer *tmux,
                uint64_t deadline_usec,
                DriverJobDone done,
                void *userdata);
