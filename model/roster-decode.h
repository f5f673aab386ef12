/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A validated document as typed values, by tables: one row per key, and the same keys as in the
 * schema (a test compares them). Values keep their node, so that checks can point at them; a value
 * that is missing or of the wrong kind has none. Nothing here knows a default or merges anything
 * but what one section writes over another of the same kind.
 */

#include <stddef.h>
#include <stdint.h>

#include "model/base/yaml.h"
#include "model/spec.h"

typedef struct RosterValue {
        const YamlNode *node; /* NULL: not written; borrowed from the document */
        uint64_t number;      /* microseconds, bytes, percent, count, or an enum */
} RosterValue;

typedef struct RosterRestart {
        RosterValue policy, delay, attempts, window;
} RosterRestart;

typedef struct RosterLimits {
        RosterValue memory, cpu, tasks;
} RosterLimits;

/* What defaults and agents have in common. */
typedef struct RosterSettings {
        RosterValue runtime, model, state, on_change, host;
        RosterValue env, env_pass, env_files, credentials;
        RosterRestart restart;
        RosterLimits limits;
        RosterValue stop_timeout;
} RosterSettings;

typedef struct RosterAgent {
        const char *name;
        const YamlNode *node; /* its key is the name */
        RosterValue description, workdir, args, labels, after;
        RosterSettings settings;
} RosterAgent;

typedef struct RosterRuntimeData {
        RosterValue command, model_args, env, resume_args, success_exit_status, install;
        RosterValue reset_keys, reset_settle, ready_pattern, ready_timeout, composer_pattern,
                        composer_rest, composer_unfocused, composer_misreads, composer_prefix;
        RosterValue busy_pattern, busy_title, waiting_pattern, waiting_title;
        RosterValue quit_keys, submit_key, submit_delay;
} RosterRuntimeData;

typedef struct RosterRuntime {
        const char *name;
        const YamlNode *node;      /* in the roster; NULL: only built in */
        RosterRuntimeData builtin; /* of the product's file; empty if there is none */
        RosterRuntimeData own;     /* of the roster */
        RosterRuntimeData all;     /* builtin with own written over it (env: own only) */
} RosterRuntime;

typedef struct Roster {
        const YamlNode *root;
        RosterValue fleet_name, fleet_description;
        RosterValue tmux_socket, tmux_size, tmux_history;
        RosterValue supervisor;
        RosterSettings defaults;
        RosterRuntime *runtimes; /* sorted by name */
        size_t n_runtimes;
        RosterAgent *agents; /* in file order */
        size_t n_agents;
} Roster;

void roster_done(Roster *r);
#define _cleanup_roster_ _cleanup_(roster_done)

/* A runtime by name, or NULL. */
const RosterRuntime *roster_find_runtime(const Roster *r, const char *name);

/* A built-in runtime (@root: of its file); @name is borrowed. A later one of the same name replaces
 * it. */
_must_check_ int roster_add_builtin(Roster *r, const char *name, const YamlNode *root);

/* Everything else, once the built-in runtimes are in. */
_must_check_ int roster_decode(const YamlNode *root, Roster *r);

/* @over written over @base, key by key. */
void roster_merge_settings(RosterSettings *base, const RosterSettings *over);

/* --- the tables, for the test that compares them with the schema ------------------------------ */

typedef enum RosterKind {
        KIND_TEXT,
        KIND_NODE, /* a list or mapping that is read where it is used */
        KIND_NUMBER,
        KIND_DURATION,
        KIND_SIZE,
        KIND_PERCENT,
        KIND_POLICY,
        KIND_STATE,
        KIND_ON_CHANGE,
        KIND_SUPERVISOR,
        KIND_SECTION,
} RosterKind;

typedef struct RosterKey {
        const char *name;
        RosterKind kind;
        size_t offset; /* of the RosterValue; of a section: where the offsets below it begin */
        const struct RosterTable *section;
} RosterKey;

typedef struct RosterTable {
        const char *schema; /* JSON pointer of its mapping in the schema */
        const RosterKey *keys;
        size_t n_keys;
        const char *shorthand; /* the key for which a single word may stand; NULL */
} RosterTable;

extern const RosterTable roster_table_root;
extern const RosterTable roster_table_defaults;
extern const RosterTable roster_table_agent;
extern const RosterTable roster_table_runtime;
