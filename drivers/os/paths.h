/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where everything of one fleet lives. Computed once per process from the environment and the user
 * database; nobody else builds such a path. See docs/reference/files.md.
 */

#include <stdbool.h>

#include "model/base/cleanup.h"

typedef struct Paths {
        char *user_home;      /* $HOME, else the user database */
        char *home;           /* $MOSAIC_HOME, default ~/.config/mosaic; absolute, links resolved */
        char *fleet_id;       /* "" for the default home of this user, else 8 hex digits */
        char *id_or_default;  /* fleet_id, or "default": names state and runtime directories */
        char *roster;         /* home/fleet/roster.yaml */
        char *state;          /* $XDG_STATE_HOME/mosaic/ID */
        char *runtime;        /* $XDG_RUNTIME_DIR/mosaic/ID */
        char *units;          /* $XDG_CONFIG_HOME/systemd/user */
        char *libexec;        /* where mosaic-keeper and mosaic-launcher are */
        char *program;        /* this program, absolute */
        char *manager_socket; /* $XDG_RUNTIME_DIR/systemd/private; NULL without XDG_RUNTIME_DIR */
        char *unit_prefix;    /* "mosaic-" or "mosaic-ID-" */
} Paths;

/* Reads the environment. -ENOENT: no home directory known; -EILSEQ: a name among them holds control
 * characters or is not UTF-8. Creates nothing. */
_must_check_ int paths_new(Paths **ret);
Paths *paths_free(Paths *p);
DEFINE_CLEANUP(Paths *, paths_free)

/* "mosaic-agent@NAME.service", "mosaic-tmux-holder.service" ... with this fleet's prefix. Caller
 * frees. */
_must_check_ int paths_agent_unit(const Paths *p, const char *agent, char **ret);
_must_check_ int paths_unit(const Paths *p, const char *which, char **ret);

/* A path below a directory: "%s/%s". Caller frees. */
_must_check_ int path_join(const char *dir, const char *name, char **ret);
