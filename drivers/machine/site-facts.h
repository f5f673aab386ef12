/* SPDX-License-Identifier: MIT */
#pragma once

/* Facts about this machine that the roster is resolved against. */

#include "drivers/os/paths.h"
#include "model/roster.h"

typedef struct SiteFacts {
        Machine machine; /* borrows from the members below and from the paths */
        char *hostname;
        char *path;
} SiteFacts;

/* @path is what the agents get: that of the user manager under systemd, else of the tmux server;
 * where neither can tell, that of this process, who may start the server. An unreachable manager is
 * no error here: its absence is said by the observation. */
_must_check_ int site_facts_read(const Paths *p, Supervisor supervisor, SiteFacts *ret);
void site_facts_done(SiteFacts *f);

/* Where the PATH of agents is known already. */
_must_check_ int site_facts_set_path(SiteFacts *f, const char *path);

/* The PATH that the fleet's tmux server was started with, under `direct`; NULL if none runs or it
 * cannot be told. Caller frees. */
_must_check_ int site_facts_server_path(const Paths *p, char **ret);

/* PATH in the environment block of the user manager; NULL if it cannot be told. Caller frees. */
_must_check_ int site_facts_manager_path(const Paths *p, char **ret);
