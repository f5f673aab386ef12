/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One verb of the command line: a file in reconciler/cli/ with one `const Verb verb_x`, listed in
 * verb.c in alphabetical order. Help, man pages and completion come from this struct.
 */

#include "reconciler/context.h"

typedef struct Verb {
        const char *group; /* "fleet", "agent" or NULL */
        const char *name;
        const char *synopsis; /* after the name: "[NAME...] [--json]" */
        const char *summary;  /* one line, no full stop */
        const char *help;     /* options and examples, at most 80 columns */
        /* argv[0] is the verb. Returns an exit code, or a negative errno that main turns into 1. */
        int (*run)(Context *c, int argc, char **argv);
} Verb;

extern const Verb verb_agent_attach, verb_agent_logs, verb_agent_roster, verb_agent_status,
                verb_agent_tail;
extern const Verb verb_fleet_apply, verb_fleet_config, verb_fleet_explain, verb_fleet_init,
                verb_fleet_install_systemd, verb_fleet_plan, verb_fleet_restart, verb_fleet_start,
                verb_fleet_status, verb_fleet_stop, verb_fleet_uninstall_systemd,
                verb_fleet_validate, verb_fleet_verify, verb_fleet_watch, verb_version;

/* NULL-terminated, ordered by group and name. */
extern const Verb *const verbs[];

/* NULL if there is none. */
const Verb *verb_find(const char *group, const char *name);

/* The nearest name for a mistyped one, or NULL. */
const char *verb_suggest(const char *group, const char *name);

/* On standard output. */
void verb_print_help(const Verb *v);
void verb_print_overview(const char *group);
