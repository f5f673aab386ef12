/* SPDX-License-Identifier: MIT */
#pragma once

/* A tmux server whose socket somebody unlinked: recognised by its process, asked by SIGUSR1 to make
 * it again. */

#include <stdbool.h>
#include <sys/types.h>

#include "drivers/tmux/server.h"

/* Is this a living tmux server? @younger: a process that began later than the server that is meant,
 * whose pid another one may have by now; 0: none is known. Negative errno: it cannot be
 * told. */
_must_check_ int lost_server_is(pid_t pid, pid_t younger, bool *ret);

/* Returns 0 once the socket answers again. @ret_message: why not; caller frees. */
_must_check_ int lost_server_repair(const TmuxServer *tmux, pid_t pid, char **ret_message);
