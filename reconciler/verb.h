/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One verb of the command line: a file in reconciler/cli/ with one `const Verb verb_x`, listed in
 * verb.c in alphabetical order. Help, completion and the check of the man pages come from this
 * struct; the options of a verb are those that its help text describes.
 */

#include "reconciler/context.h"

/* What a person wants to do when looking for a verb: the headings of the help. */
typedef enum VerbTask {
        TASK_OF_GROUP, /* not said: the verbs of one agent are a heading of their own */
        TASK_ROSTER,
        TASK_CONVERGE,
        TASK_LOOK,
        TASK_OPERATE,
        TASK_AGENT,
        TASK_INSTALL,
        TASK_PROGRAM,
        _VERB_TASK_MAX,
} VerbTask;

typedef struct Verb {
        const char *group; /* "fleet", "agent" or NULL */
        const char *name;
        VerbTask task;
        const char *synopsis; /* after the name: "[NAME...] [--json]" */
        const char *summary;  /* one line, no full stop */
        const char *words;    /* which words follow, in the language of option_values(); NULL: none
                                 that could be offered */
        const char *help;     /* options and examples, at most 80 columns */
        bool without_fleet;   /* the context is not opened: this verb works where no home is */
        /* argv[0] is the verb. Returns an exit code, or a negative errno that main turns into 1. */
        int (*run)(Context *c, int argc, char **argv);
} Verb;

extern const Verb verb_agent_attach;
extern const Verb verb_agent_logs;
extern const Verb verb_agent_probe;
extern const Verb verb_agent_reset;
extern const Verb verb_agent_roster;
extern const Verb verb_agent_send;
extern const Verb verb_agent_status;
extern const Verb verb_agent_tail;
extern const Verb verb_completion;
extern const Verb verb_doctor;
extern const Verb verb_fleet_apply;
extern const Verb verb_fleet_config;
extern const Verb verb_fleet_explain;
extern const Verb verb_fleet_init;
extern const Verb verb_fleet_install_systemd;
extern const Verb verb_fleet_plan;
extern const Verb verb_fleet_preflight;
extern const Verb verb_fleet_restart;
extern const Verb verb_fleet_start;
extern const Verb verb_fleet_status;
extern const Verb verb_fleet_stop;
extern const Verb verb_fleet_uninstall_systemd;
extern const Verb verb_fleet_validate;
extern const Verb verb_fleet_verify;
extern const Verb verb_fleet_watch;
extern const Verb verb_update;
extern const Verb verb_version;

/* NULL-terminated, ordered by group and name. */
extern const Verb *const verbs[];

/* The groups, NULL-terminated: each name with one line about it. */
typedef struct VerbGroup {
        const char *name;
        const char *summary;
} VerbGroup;

extern const VerbGroup verb_groups[];

/* NULL if there is none. */
const VerbGroup *verb_group_find(const char *name);
const Verb *verb_find(const char *group, const char *name);

/* What a mistyped word (@group NULL: the first one) was meant to be, as it is to be typed after
 * "mosaic": "fleet plan", "fleet". NULL if nothing is near. Caller frees. -ENOMEM. */
_must_check_ int verb_suggest(const char *group, const char *name, char **ret);

/* The heading under which a verb stands. */
VerbTask verb_task(const Verb *v);
const char *verb_task_title(VerbTask t);

/* One option as the help text of its verb describes it; the texts are borrowed, without an end. */
typedef struct VerbOption {
        char letter; /* 0: it has none */
        const char *name;
        size_t name_length;
        bool has_value;
        const char *text; /* what it does: the first line */
        size_t text_length;
} VerbOption;

/* Steps through the options of a help text: *at begins as Verb.help. False at the end. */
bool verb_next_option(const char **at, VerbOption *ret);

/* The help that fits any terminal, on standard output. */
void verb_print_help(const Verb *v);
void verb_print_overview(const char *group);
