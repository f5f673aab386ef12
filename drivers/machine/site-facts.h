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

/* @path is taken from the user manager under systemd (it is what the agents get), else from the
 * environment. An unreachable manager is no error here: its absence is said by the observation. */
_must_check_ int site_facts_read(const Paths *p, Supervisor supervisor, SiteFacts *ret);
void site_facts_done(SiteFacts *f);

/* Where the PATH of agents is known already. */
_must_check_ int site_facts_set_path(SiteFacts *f, const char *path);

/* PATH in the environment block of the user manager; NULL if it cannot be told. Caller frees. */
_must_check_ int site_facts_manager_path(const Paths *p, char **ret);
